using System.Collections.Concurrent;
using Microsoft.ML;
using Microsoft.ML.Flooding;
using static ImageClassifier.ImageClassifierModel;

namespace ImageClassifier;

/// <summary>Prediction engines over one model. A request borrows an engine, because an engine serves one thread at a time.</summary>
public sealed class EnginePool : IDisposable
{
    private readonly FloodedImageClassificationTransformer _classifier = LoadClassifier(ModelPath);
    private readonly ConcurrentBag<PredictionEngine<ModelInput, ModelOutput>> _engines = [];

    public IReadOnlyList<string> Labels => _classifier.Labels;

    /// <summary>The probabilities of all classes, the most probable first; null: the image cannot be read.</summary>
    public IReadOnlyList<KeyValuePair<string, float>>? Predict(ModelInput input)
    {
        if (!_engines.TryTake(out var engine))
            engine = CreateEngine(_classifier);
        try
        {
            var output = engine.Predict(input);
            return float.IsNaN(output.Score[0]) ? null : Sort(output, Labels);
        }
        catch (InvalidOperationException)
        {
            return null;
        }
        finally
        {
            _engines.Add(engine);
        }
    }

    public void Dispose()
    {
        foreach (var engine in _engines)
            engine.Dispose();
        _classifier.Dispose();
    }
}
