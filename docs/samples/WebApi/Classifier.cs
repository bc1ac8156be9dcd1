using System.Collections.Concurrent;
using Microsoft.ML;
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
    private readonly ConcurrentBag<PredictionEngine<Upload, Scores>> _engines = [];
    private readonly SemaphoreSlim _free = new(Environment.ProcessorCount);
    private readonly ITransformer _model;

    private Classifier(string path)
    {
        _model = _context.Model.LoadSafely(path, out _);
        var network = _model as FloodedImageClassificationTransformer
            ?? ((IEnumerable<ITransformer>)_model).OfType<FloodedImageClassificationTransformer>().Single();
        Labels = network.Labels;
        Architecture = network.Architecture.Name;
    }

    public IReadOnlyList<string> Labels { get; }

    public string Architecture { get; }

    public static Classifier Open(string path) => new(path);

    /// <summary>The most probable classes, best first; null when the file is no image.</summary>
    public async Task<IReadOnlyList<Prediction>?> PredictAsync(byte[] file, CancellationToken cancellation)
    {
        await _free.WaitAsync(cancellation);
        try
        {
            if (!_engines.TryTake(out var engine))
                engine = _context.Model.CreatePredictionEngine<Upload, Scores>(_model, new PredictionEngineOptions { OwnsTransformer = false });
            try
            {
                var scores = engine.Predict(new Upload { Features = file }).Score;
                return float.IsNaN(scores[0])
                    ? null
                    : [.. scores.Select((score, i) => new Prediction(Labels[i], score)).OrderByDescending(p => p.Probability).Take(Shown)];
            }
            finally
            {
                _engines.Add(engine);
            }
        }
        // A model that was trained with OnInvalidImage.Throw.
        catch (InvalidOperationException)
        {
            return null;
        }
        finally
        {
            _free.Release();
        }
    }

    public void Dispose()
    {
        (_model as IDisposable)?.Dispose();
        _free.Dispose();
    }

    private sealed class Upload
    {
        public byte[] Features { get; set; } = [];
    }

    private sealed class Scores
    {
        public float[] Score { get; set; } = [];
    }
}

internal sealed record Prediction(string Label, float Probability);
