using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Flooding;

namespace Noise;

/// <summary>A method of the comparison.</summary>
/// <param name="Name">Its name in the tables.</param>
/// <param name="Cost">Its compute, in plain runs.</param>
/// <param name="Run">Trains on a draw and scores its test images.</param>
/// <param name="IsBaseline">Whether the recommended setting is compared with it.</param>
internal sealed record Method(string Name, int Cost, Func<Draw, Trained> Run, bool IsBaseline = false)
{
    /// <summary>The name of the method that the comparison is about.</summary>
    public const string Recommended = "recommended";

    /// <summary>The methods of docs/protocol.md. Runs that several methods need are trained once.</summary>
    public static IReadOnlyList<Method> All()
    {
        var once = new Dictionary<(Draw, int), Trained>();
        Trained Plain(Draw draw, int number)
        {
            if (!once.TryGetValue((draw, number), out var trained))
                once[(draw, number)] = trained = Train(draw, o => o.FloodLevel = 0, number);
            return trained;
        }
        return
        [
            new("plain, last epoch", 1, draw => Train(draw, o =>
                (o.FloodLevel, o.EarlyStopping, o.WeightAveraging) = (0, null, WeightAveraging.None))),
            new("EMA, best epoch", 1, draw => Plain(draw, 0)),
            new("EMA, best epoch, twice the epochs", 2, draw => Train(draw, o => (o.FloodLevel, o.Epochs) = (0, 2 * o.Epochs)), true),
            new("EMA, best epoch, better of two seeds", 2, draw => Plain(draw, 0).Better(Plain(draw, 1)), true),
            new("EMA, best epoch, two networks", 2, draw => Plain(draw, 0).Average(Plain(draw, 1)), true),
            new("label smoothing, EMA, best epoch", 1, draw => Train(draw, o => o.Objective = FloodingObjective.LabelSmoothing())),
            new("GCE, EMA, best epoch", 1, draw => Train(draw, o => o.Objective = GeneralizedCrossEntropy)),
            new("flood, EMA, best epoch", 1, draw => Train(draw, o => o.FloodLevel = draw.Noise.Level)),
            new(Recommended, 2, draw => Train(draw, o => o.Objective = FloodingObjective.SelfDistilled())),
        ];
    }

    /// <summary>Generalized cross-entropy with q = 0.7 (Zhang and Sabuncu, NeurIPS 2018): (1 - p^q) / q, where the loss is -ln p.</summary>
    private static FloodingObjective GeneralizedCrossEntropy { get; } = FloodingObjective.FromFunction(
        "generalized cross-entropy, q = 0.7", losses => (1 - (losses * -0.7).exp()).mean() / 0.7);

    /// <summary>Trains with the settings of the comparison and changes to them.</summary>
    public static Trained Train(Draw draw, Action<FloodedImageClassificationTrainer.Options> change, int number = 0)
    {
        var options = new FloodedImageClassificationTrainer.Options
        {
            Architecture = draw.Set.Architecture,
            Epochs = draw.Set.Epochs,
            ValidationSet = draw.View(draw.Validation),
            WeightAveraging = WeightAveraging.Exponential,
            Seed = (1000 * draw.Seed) + number,
        };
        if (draw.Set.Shape[0] == 1)
            (options.ImageWidth, options.ImageHeight) = (draw.Set.Shape[1], 1);
        change(options);
        using var model = new MLContext().Transforms.FloodedImageClassification(options).Fit(draw.View(draw.Train));
        return new Trained(
            [.. model.Transform(draw.View(draw.Test)).GetColumn<float[]>("Score")], draw.Test, model.History.ValidationAccuracy ?? 0);
    }
}

/// <summary>What a method predicts for the test images.</summary>
/// <param name="Scores">The probabilities of the classes.</param>
/// <param name="Test">The test images.</param>
/// <param name="ValidationAccuracy">The accuracy on the validation images, whose labels may be wrong.</param>
internal sealed record Trained(float[][] Scores, IReadOnlyList<Example> Test, double ValidationAccuracy)
{
    // As ML.NET's log-loss.
    private const double Smallest = 1e-15;

    /// <summary>The share of test images that are classified correctly.</summary>
    public double Accuracy => Scores.Zip(Test).Average(t => Array.IndexOf(t.First, t.First.Max()) == t.Second.Label ? 1.0 : 0);

    /// <summary>The mean of -ln p of the true class.</summary>
    public double LogLoss => Scores.Zip(Test).Average(t => -Math.Log(Math.Max(t.First[t.Second.Label], Smallest)));

    /// <summary>The one with the higher validation accuracy.</summary>
    public Trained Better(Trained other) => other.ValidationAccuracy > ValidationAccuracy ? other : this;

    /// <summary>The average of the probabilities.</summary>
    public Trained Average(Trained other) => this with
    {
        Scores = [.. Scores.Zip(other.Scores, (a, b) => a.Zip(b, (x, y) => (x + y) / 2).ToArray())],
    };
}
