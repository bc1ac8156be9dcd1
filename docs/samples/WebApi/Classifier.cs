using System.Collections.Concurrent;
using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Flooding;

namespace WebApi;

/// <summary>
/// A model and a pool of its prediction engines. All threads share the model. An engine serves one thread at a time, so callers borrow
/// engines; there is at most one engine for each core.
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

    /// <param name="path">The file of a saved model: the classifier alone, or a chain that has one classifier.</param>
    /// <param name="column">The name of the model's image column.</param>
    public Classifier(string path, string column)
    {
        _model = _context.Model.LoadSafely(path, out _);

        // Uploads have no label, so the other transformers of a chain are not used.
        _network = _model as FloodedImageClassificationTransformer
            ?? ((IEnumerable<ITransformer>)_model).OfType<FloodedImageClassificationTransformer>().Single();
        _columns[nameof(Image.File)].ColumnName = column;

        // A model that does not take image files fails here, not at the first request.
        _engines.Add(CreateEngine());
    }

    public IReadOnlyList<string> Labels => _network.Labels;

    public string Architecture => _network.Architecture.Name;

    /// <summary>Waits for an engine. Disposing it returns it to the pool.</summary>
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
        /// <summary>Returns the most probable classes, most probable first. Null: the image cannot be read.</summary>
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
                :
                [
                    .. scores.Zip(classifier.Labels, (score, label) => new Prediction(label, score))
                        .OrderByDescending(p => p.Probability)
                        .Take(Shown),
                ];
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
