using System.Diagnostics;
using Microsoft.ML;
using Microsoft.ML.Flooding;

var started = Process.GetCurrentProcess().StartTime;
if (args is ["--help"] or [_])
{
    Console.Error.WriteLine("Usage: Deployment [MODEL.zip IMAGE...]");
    Console.Error.WriteLine("Predicts image files with a saved model whose image column has encoded images.");
    Console.Error.WriteLine("Default: a small model that comes with the sample, and 1,000 test images of Fashion-MNIST.");
    return 2;
}

var context = new MLContext();
var folder = AppContext.BaseDirectory;
var model = context.Model.LoadSafely(args.FirstOrDefault() ?? Path.Combine(folder, "fashion.zip"), out _);
var classifier = model as FloodedImageClassificationTransformer
    ?? ((IEnumerable<ITransformer>)model).OfType<FloodedImageClassificationTransformer>().Single();
if (args.Length > 0)
    PredictFiles();
else
    PredictFashion();
Report();
return 0;

// One image after the other, as a service does.
void PredictFiles()
{
    var options = new PredictionEngineOptions { InputSchemaDefinition = EncodedImage.Schema(classifier.FeatureColumnName) };
    using var engine = context.Model.CreatePredictionEngine<EncodedImage, Prediction>(model, options);
    foreach (var file in args[1..])
    {
        var score = engine.Predict(new EncodedImage { Image = File.ReadAllBytes(file) }).Score;
        var best = Array.IndexOf(score, score.Max());
        Console.WriteLine($"{file}: {classifier.Labels[best]} ({score[best]:P1})");
    }
}

// All images at once, and the metrics of ML.NET.
void PredictFashion()
{
    var data = Path.Combine(folder, "data");
    var images = context.Data.LoadFromIdx(Path.Combine(data, "t10k-images-idx3-ubyte.gz"), Path.Combine(data, "t10k-labels-idx1-ubyte.gz"));
    var metrics = context.MulticlassClassification.Evaluate(model.Transform(images));
    Console.WriteLine($"1,000 images of Fashion-MNIST: {metrics.MicroAccuracy:P1} are correct, log-loss {metrics.LogLoss:0.000}");
}

void Report()
{
    using var process = Process.GetCurrentProcess();
    var native = process.Modules.Cast<ProcessModule>().Where(module => module.ModuleName.Contains("torch_cpu", StringComparison.Ordinal));
    Console.WriteLine($"Engine: {classifier.ScoringEngine}. libtorch is {(native.Any() ? "loaded" : "not loaded")}.");
    Console.WriteLine($"{(DateTime.Now - started).TotalSeconds:0.0} s since the start, {process.WorkingSet64 / 1e6:0} MB of memory.");
}

internal sealed class EncodedImage
{
    public byte[] Image { get; set; } = [];

    /// <summary>The schema of a row whose image column has another name.</summary>
    public static Microsoft.ML.Data.SchemaDefinition Schema(string column)
    {
        var schema = Microsoft.ML.Data.SchemaDefinition.Create(typeof(EncodedImage));
        schema[nameof(Image)].ColumnName = column;
        return schema;
    }
}

internal sealed class Prediction
{
    public float[] Score { get; set; } = [];
}
