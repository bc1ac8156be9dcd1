using Microsoft.ML;

namespace ImageFolder;

/// <summary>Predicts with a saved model, one image at a time. It is not thread-safe: create one for each thread.</summary>
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
