using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Flooding;
using static TorchSharp.torch;

// Or: script model.pt, which needs a libtorch.
if (args is ["script", var script])
{
    Console.WriteLine(Architecture.FromTorchScript(script, inputSize: 2));
    return;
}

// Or: waiting, which prints the wait policy that OpenMP read when libtorch was loaded.
if (args is ["waiting", .. var policy])
{
    if (policy is [var own])
        Environment.SetEnvironmentVariable("OMP_WAIT_POLICY", own);
    var rows = Enumerable.Range(0, 4).Select(i => new Row { Label = $"{i % 2}" });
    var view = new MLContext(seed: 1) is var ml ? ml.Transforms.Conversion.MapValueToKey("Label")
        .Fit(ml.Data.LoadFromEnumerable(rows)).Transform(ml.Data.LoadFromEnumerable(rows)) : null!;
    using var trained = ml.Transforms.FloodedImageClassification(new FloodedImageClassificationTrainer.Options
    {
        Architecture = Architecture.Mlp.WithHiddenSizes(),
        Epochs = 1,
        ValidationSetFraction = null,
    }).Fit(view);
    Console.WriteLine(Native.Variable("OMP_WAIT_POLICY"));
    return;
}

// Or: ranks IMAGES LABELS OUTPUT SETTING..., one rank of several.
if (args is ["ranks", var rankImages, var rankLabels, var rankOutput, .. var settings])
{
    RankProgram.Run(rankImages, rankLabels, rankOutput, settings);
    return;
}

// A process that tests kill: it trains with checkpoints, reports each epoch, and saves the model at the end. A line of standard input lets
// it train one more epoch, the end of the input all of them. Or: ... EPOCHS CALL, where auxiliary networks predict the images first, and
// the process halts in that call of a network; 0: in none.
var (images, labels, checkpoints, output, epochs) = (args[0], args[1], args[2], args[3], int.Parse(args[4], null));
var halt = args.Length > 5 ? int.Parse(args[5], null) : (int?)null;
var context = new MLContext(seed: 1);
var data = context.Data.TakeRows(context.Data.LoadFromIdx(images, labels), 700);
using var model = context.Transforms.FloodedImageClassification(new FloodedImageClassificationTrainer.Options
{
    FloodLevel = 0.3f,
    Objective = halt is null ? FloodingObjective.Flood : FloodingObjective.CrossFitted(),
    Architecture = halt is null
        ? Architecture.Mlp.WithHiddenSizes(200, 200)
        : Architecture.FromFactory("halting", (classes, channels) => Halt.At(
            halt.Value, Perceptron(28 * 28 * channels, classes), () => Console.WriteLine("halted"))),
    Epochs = epochs,
    EarlyStopping = new EarlyStopping { Patience = epochs },
    CheckpointDirectory = checkpoints,
    MetricsCallback = m =>
    {
        Console.WriteLine($"epoch {m.Epoch}");
        Console.ReadLine();
    },
}).Fit(data);
context.Model.Save(model, data.Schema, output);

static nn.Module<Tensor, Tensor> Perceptron(int inputs, int classes) => nn.Sequential(
    nn.Flatten(), nn.Linear(inputs, 200), nn.BatchNorm1d(200), nn.ReLU(), nn.Linear(200, classes));

internal sealed class Row
{
    public string Label { get; set; } = "";

    [VectorType(2, 2, 1)]
    public byte[] Features { get; set; } = new byte[4];
}
