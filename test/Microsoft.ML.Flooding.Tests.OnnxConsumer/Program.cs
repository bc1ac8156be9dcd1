using System.Diagnostics;
using System.Globalization;
using Microsoft.ML;
using Microsoft.ML.Flooding;

// Usage: onnx-consumer model.zip image...
// Prints the bits of the scores of each image: for all rows at once, for a prediction engine, for engines on several threads, and for a
// copy of the model that is saved and loaded again. Then the log-loss of the predictions, an error, and what the process takes.
const int Threads = 4;
var context = new MLContext();
var model = context.Model.Load(args[0], out var schema);
var classifier = (FloodedImageClassificationTransformer)model;
var rows = args[1..].Select(path => new Row { Image = File.ReadAllBytes(path) }).ToArray();

var scored = model.Transform(context.Data.LoadFromEnumerable(rows));
foreach (var prediction in context.Data.CreateEnumerable<Prediction>(scored, reuseRowObject: false))
    Print("cursor", prediction);

var shared = new PredictionEngineOptions { OwnsTransformer = false };
using (var engine = context.Model.CreatePredictionEngine<Row, Prediction>(model, shared))
{
    foreach (var row in rows)
        Print("engine", engine.Predict(row));
}

var byThread = new Prediction[Threads][];
var threads = Enumerable.Range(0, Threads).Select(i => new Thread(() =>
{
    using var engine = context.Model.CreatePredictionEngine<Row, Prediction>(model, shared);
    byThread[i] = [.. rows.Select(engine.Predict)];
})).ToArray();
Array.ForEach(threads, thread => thread.Start());
Array.ForEach(threads, thread => thread.Join());
foreach (var prediction in byThread.SelectMany(predictions => predictions))
    Print("thread", prediction);

using (var file = new MemoryStream())
{
    context.Model.Save(model, schema, file);
    file.Position = 0;
    var copy = context.Model.Load(file, out _);
    using var engine = context.Model.CreatePredictionEngine<Row, Prediction>(copy);
    foreach (var row in rows)
        Print("copy", engine.Predict(row));
}

var labels = classifier.Labels;
var labeled = rows.Select((row, i) => new LabeledRow { Image = row.Image, Name = labels[i % labels.Count] });
var evaluated = context.Transforms.Conversion.MapValueToKey("Label", "Name").Fit(context.Data.LoadFromEnumerable(labeled)) is var keys
    ? model.Transform(keys.Transform(context.Data.LoadFromEnumerable(labeled)))
    : null!;
Console.WriteLine($"log-loss {context.MulticlassClassification.Evaluate(evaluated).LogLoss.ToString("R", CultureInfo.InvariantCulture)}");
Console.WriteLine($"weights {classifier.Model.Shapes.Count} {classifier.Model.GetValues(classifier.Model.Shapes[0].Key).Length}");
Console.WriteLine($"scoring engine {classifier.ScoringEngine}");
try
{
    using var other = classifier.WithScoringEngine(ScoringEngine.LibTorch);
    Console.WriteLine("libtorch is there");
}
catch (InvalidOperationException e)
{
    Console.WriteLine($"refused {e.Message.ReplaceLineEndings(" ")}");
}
using var process = Process.GetCurrentProcess();
foreach (ProcessModule module in process.Modules)
{
    var name = module.ModuleName;
    if (name.Contains("torch", StringComparison.OrdinalIgnoreCase) && name.Contains(".so", StringComparison.Ordinal))
        Console.WriteLine($"loaded {name}");
}
Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"memory {process.PeakWorkingSet64 / 1e6:0} MB"));

static void Print(string how, Prediction prediction) =>
    Console.WriteLine($"{how} {string.Join(' ', prediction.Score.Select(BitConverter.SingleToUInt32Bits))}");

internal class Row
{
    public byte[] Image { get; set; } = [];
}

internal sealed class LabeledRow : Row
{
    public string Name { get; set; } = "";
}

internal sealed class Prediction
{
    public uint PredictedLabel { get; set; }

    public float[] Score { get; set; } = [];
}
