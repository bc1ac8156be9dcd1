using Microsoft.ML;
using Microsoft.ML.Flooding;

// Or: script model.pt, which needs a libtorch.
if (args is ["script", var script])
{
    Console.WriteLine(Architecture.FromTorchScript(script, inputSize: 2));
    return;
}

// A process that tests kill: it trains with checkpoints, reports each epoch, and saves the model at the end. With a sixth argument,
// auxiliary networks predict the images first.
var (images, labels, checkpoints, output, epochs) = (args[0], args[1], args[2], args[3], int.Parse(args[4], null));
var context = new MLContext(seed: 1);
var data = context.Data.LoadFromIdx(images, labels);
using var model = context.Transforms.FloodedImageClassification(new FloodedImageClassificationTrainer.Options
{
    FloodLevel = 0.3f,
    Objective = args.Length > 5 ? FloodingObjective.CrossFitted() : FloodingObjective.Flood,
    Architecture = Architecture.Mlp.WithHiddenSizes(200, 200),
    Epochs = epochs,
    EarlyStopping = new EarlyStopping { Patience = epochs },
    CheckpointDirectory = checkpoints,
    MetricsCallback = m => Console.WriteLine($"epoch {m.Epoch}"),
}).Fit(data);
context.Model.Save(model, data.Schema, output);
