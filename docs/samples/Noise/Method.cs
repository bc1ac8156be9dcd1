using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Flooding;

namespace Noise;

/// <summary>A method of the comparison.</summary>
/// <param name="Name">Its name in the tables.</param>
/// <param name="Cost">Its compute, in plain runs.</param>
/// <param name="Run">Trains on a draw and scores its test images.</param>
/// <param name="Role">Its part in the comparison.</param>
internal sealed record Method(string Name, int Cost, Func<Draw, Trained> Run, Role Role = Role.Other)
{
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
        Trained[] Three(Draw draw) => [Plain(draw, 0), Plain(draw, 1), Plain(draw, 2)];
        return
        [
            new("plain, last epoch", 1, draw => Train(draw, o =>
                (o.FloodLevel, o.EarlyStopping, o.WeightAveraging) = (0, null, WeightAveraging.None))),
            new("EMA, best epoch", 1, draw => Plain(draw, 0)),
            new("flood, EMA, best epoch", 1, draw => Train(draw, o => o.FloodLevel = draw.Noise.Level)),
            new("GCE, EMA, best epoch", 1, draw => Train(draw, o => o.Objective = GeneralizedCrossEntropy)),
            new("EMA, best epoch, three times the epochs", 3, draw => Train(draw, o => (o.FloodLevel, o.Epochs) = (0, 3 * o.Epochs)),
                Role.Baseline),
            new("EMA, best epoch, best of three seeds", 3, draw => Trained.Best(Three(draw)), Role.Baseline),
            new("EMA, best epoch, three networks", 3, draw => Trained.Average(Three(draw)), Role.Ensemble),
            new("recommended", 3, draw => Train(draw, o => o.Objective = FloodingObjective.SelfDistilled()), Role.Recommended),
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

    /// <summary>The one with the highest validation accuracy; the first of equal ones.</summary>
    public static Trained Best(IReadOnlyList<Trained> networks) => networks.MaxBy(network => network.ValidationAccuracy)!;

    /// <summary>The average of the probabilities.</summary>
    public static Trained Average(IReadOnlyList<Trained> networks) => networks[0] with
    {
        Scores =
        [
            .. networks[0].Scores.Select((score, image) =>
                score.Select((_, label) => networks.Average(network => network.Scores[image][label])).ToArray()),
        ],
    };
}

/// <summary>The part of a method in the comparison.</summary>
internal enum Role
{
    /// <summary>For information.</summary>
    Other,

    /// <summary>One network with the compute of the recommended setting.</summary>
    Baseline,

    /// <summary>Several networks with the compute of the recommended setting.</summary>
    Ensemble,

    /// <summary>The setting that the comparison is about.</summary>
    Recommended,
}
