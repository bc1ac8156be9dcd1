using Microsoft.ML;
using Microsoft.ML.Data;

// Usage: consumer model.zip image...
// Prints one line per image with the predicted class and the bits of the scores, first for all rows at once, then for a prediction engine.
var context = new MLContext();
var model = context.Model.Load(args[0], out _);
var rows = args[1..].Select(path => new Row { ImagePath = path, Image = File.ReadAllBytes(path) }).ToArray();

var scored = model.Transform(context.Data.LoadFromEnumerable(rows));
var names = default(VBuffer<ReadOnlyMemory<char>>);
scored.Schema["Score"].GetSlotNames(ref names);
foreach (var prediction in context.Data.CreateEnumerable<Prediction>(scored, reuseRowObject: false))
    Print(prediction);

using var engine = context.Model.CreatePredictionEngine<Row, Prediction>(model);
foreach (var row in rows)
    Print(engine.Predict(row));

void Print(Prediction prediction) => Console.WriteLine(
    $"{names.GetItemOrDefault((int)prediction.PredictedLabel - 1)} "
    + string.Join(' ', prediction.Score.Select(BitConverter.SingleToUInt32Bits)));

internal sealed class Row
{
    public string ImagePath { get; set; } = "";

    public byte[] Image { get; set; } = [];
}

internal sealed class Prediction
{
    public uint PredictedLabel { get; set; }

    public float[] Score { get; set; } = [];
}
