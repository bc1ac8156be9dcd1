using System.Collections.Concurrent;
using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Flooding;

namespace WebApi;

/// <summary>
/// A model and the prediction engines over it. An engine is for one thread at a time, the model for all of them: so engines are lent out, and
/// no more of them than there are cores.
/// </summary>
internal sealed class Classifier : IDisposable
{
    private const int Shown = 5;

    private readonly MLContext _context = new();
    private readonly SemaphoreSlim _free = new(Environment.ProcessorCount);
    private readonly ConcurrentBag<PredictionEngine<Image, Scores>> _engines = [];
    private readonly ITransformer _model;
    private readonly FloodedImageClassificationTransformer _network;
    private readonly SchemaDefinition _columns = SchemaDefinition.Create(typeof(Image));

    /// <param name="path">A saved model: the classifier alone, or in a chain.</param>
    /// <param name="column">The name of its image column.</param>
    public Classifier(string path, string column)
    {
        _model = _context.Model.LoadSafely(path, out _);
        // Uploads have no label and want none: what stands around the network in a chain is left out.
        _network = _model as FloodedImageClassificationTransformer
            ?? ((IEnumerable<ITransformer>)_model).OfType<FloodedImageClassificationTransformer>().Single();
        _columns[nameof(Image.File)].ColumnName = column;

        // A model that does not take files fails here, not when the first visitor comes.
        _engines.Add(CreateEngine());
    }

    public IReadOnlyList<string> Labels => _network.Labels;

    public string Architecture => _network.Architecture.Name;

    /// <summary>Waits for an engine; to be disposed of, which gives it back.</summary>
    public async Task<BorrowedEngine> BorrowAsync(CancellationToken cancellation)
    {
        await _free.WaitAsync(cancellation);
        return new BorrowedEngine(this, _engines.TryTake(out var engine) ? engine : CreateEngine());
    }

    public void Dispose()
    {
        foreach (var engine in _engines)
            engine.Dispose();
        (_model as IDisposable)?.Dispose();
        _free.Dispose();
    }

    private PredictionEngine<Image, Scores> CreateEngine() => _context.Model.CreatePredictionEngine<Image, Scores>(
        _network, new PredictionEngineOptions { OwnsTransformer = false, InputSchemaDefinition = _columns });

    internal sealed class BorrowedEngine(Classifier classifier, PredictionEngine<Image, Scores> engine) : IDisposable
    {
        /// <summary>The most probable classes, best first; null when the image cannot be read.</summary>
        public IReadOnlyList<Prediction>? Predict(byte[] file)
        {
            float[] scores;
            try
            {
                scores = engine.Predict(new Image { File = file }).Score;
            }
            catch (InvalidOperationException) when (classifier._network.OnInvalidImage == OnInvalidImage.Throw)
            {
                return null;
            }
            return float.IsNaN(scores[0])
                ? null
                : [.. scores.Zip(classifier.Labels, (score, label) => new Prediction(label, score)).OrderByDescending(p => p.Probability).Take(Shown)];
        }

        public void Dispose()
        {
            classifier._engines.Add(engine);
            classifier._free.Release();
        }
    }

    internal sealed class Image
    {
        public byte[] File { get; set; } = [];
    }

    internal sealed class Scores
    {
        public float[] Score { get; set; } = [];
    }
}

internal sealed record Prediction(string Label, float Probability);
