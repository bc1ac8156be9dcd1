using Microsoft.ML;

namespace ImageFolder;

/// <summary>A saved model at work, an image at a time. Not for several threads at once: give each its own.</summary>
internal sealed class ConsumeModel : IDisposable
{
    private readonly PredictionEngine<ModelInput, ModelOutput> _engine;

    public ConsumeModel(string path)
    {
        var context = new MLContext();
        _engine = context.Model.CreatePredictionEngine<ModelInput, ModelOutput>(context.Model.Load(path, out _));
    }

    public ModelOutput Predict(ModelInput input) => _engine.Predict(input);

    public void Dispose() => _engine.Dispose();
}
