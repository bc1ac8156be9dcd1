using System.Globalization;
using System.Text;
using Common;
using Microsoft.ML;
using Microsoft.ML.Flooding;

namespace Reproduction;

/// <summary>Trains every method on a task with every seed and writes the table.</summary>
internal sealed class Study(int seeds, Action<string> progress)
{
    /// <summary>A mean difference of more than this many standard errors of the paired differences counts as won or lost.</summary>
    private const double Significant = 2;

    /// <summary>Compares every method without flooding and with the flood level that the validation set prefers.</summary>
    public string Compare(Task task, IReadOnlyList<Method> methods)
    {
        var table = new StringBuilder();
        table.Append(CultureInfo.InvariantCulture, $"### {task.Name}\n\n");
        table.Append("| method | without flooding | with flooding | difference | levels chosen | flooding |\n");
        table.Append("|---|---|---|---|---|---|\n");
        foreach (var method in methods)
        {
            progress($"{task.Name}: {method.Name}");
            var flooded = Runs(task, o => { method.Configure(o); o.FloodLevels = task.Levels; });

            // A search that prefers 0 gives exactly the plain run.
            Result[] plain =
                [.. flooded.Select((f, seed) => f.Level == 0 ? f : Run(task, seed, o => { method.Configure(o); o.FloodLevel = 0; }))];
            var differences = flooded.Zip(plain, (f, p) => f.Accuracy - p.Accuracy).ToArray();
            var levels = string.Join(", ", flooded.Select(f => f.Level).Order().Select(l => l.ToString(CultureInfo.InvariantCulture)));
            table.Append(CultureInfo.InvariantCulture,
                $"| {method.Name} | {Figures(plain)} | {Figures(flooded)} | {100 * differences.Average():+0.0;-0.0;0.0} "
                + $"| {levels} | {Verdict(differences)} |\n");
        }
        return table.Append('\n').ToString();
    }

    /// <summary>Compares the objectives of the flooding family, each with and without a temperature fitted on the validation set.</summary>
    public string CompareFamily(Task task, float level)
    {
        (string Name, FloodingObjective Objective, float Level)[] family =
        [
            ("plain", FloodingObjective.Flood, 0),
            ("flood", FloodingObjective.Flood, level),
            ("iFlood", FloodingObjective.IndividualFlood, level),
            ("SoftAD", FloodingObjective.SoftAscentDescent(), level),
            ("AdaFlood, gamma 0.5", FloodingObjective.AdaFlood(0.5, folds: 3), level),
            ("AdaFlood, gamma 0.05", FloodingObjective.AdaFlood(0.05, folds: 3), level),
            ("class-wise", FloodingObjective.ClassWise(), level),
        ];
        var table = new StringBuilder();
        table.Append(CultureInfo.InvariantCulture, $"### {task.Name}: the family, with EMA, level {level} where it has one\n\n");
        table.Append("| objective | accuracy (log-loss) | ECE | with temperature: log-loss | ECE | temperature |\n");
        table.Append("|---|---|---|---|---|---|\n");
        foreach (var (name, objective, b) in family)
        {
            progress($"{task.Name}: {name}");

            // A temperature does not change training: the same seeds give the same networks.
            var runs = Runs(task, o => Configure(o, fitTemperature: false));
            var tempered = Runs(task, o => Configure(o, fitTemperature: true));
            table.Append(CultureInfo.InvariantCulture,
                $"| {name} | {Figures(runs)} | {runs.Average(r => r.CalibrationError):0.000} | {tempered.Average(r => r.LogLoss):0.00} "
                + $"| {tempered.Average(r => r.CalibrationError):0.000} | {tempered.Average(r => r.Temperature):0.00} |\n");

            void Configure(FloodedImageClassificationTrainer.Options o, bool fitTemperature)
            {
                (o.Objective, o.FloodLevel, o.FitTemperature) = (objective, b, fitTemperature);
                o.WeightAveraging = WeightAveraging.Exponential;
            }
        }
        return table.Append('\n').ToString();
    }

    private Result[] Runs(Task task, Action<FloodedImageClassificationTrainer.Options> configure) =>
        [.. Enumerable.Range(0, seeds).Select(seed => Run(task, seed, configure))];

    private static Result Run(Task task, int seed, Action<FloodedImageClassificationTrainer.Options> configure)
    {
        var context = new MLContext(seed);
        var sets = task.Draw(seed);
        var options = new FloodedImageClassificationTrainer.Options { ValidationSet = sets.Validation, Seed = seed };
        task.Configure(options);
        configure(options);
        using var model = context.MulticlassClassification.Trainers.FloodedImageClassification(options).Fit(sets.Train);

        // Two evaluators read the scores, so they are cached.
        var scored = context.Data.Cache(model.Transform(sets.Test), "Label", "Score", "PredictedLabel");
        var metrics = context.MulticlassClassification.Evaluate(scored);
        var calibration = context.MulticlassClassification.EvaluateCalibration(scored);
        return new Result(
            metrics.MicroAccuracy, metrics.LogLoss, calibration.ExpectedCalibrationError, model.FloodLevel, model.Temperature);
    }

    private static string Figures(Result[] results)
    {
        double[] accuracies = [.. results.Select(r => r.Accuracy)];
        return string.Create(CultureInfo.InvariantCulture,
            $"{100 * accuracies.Average():0.0} ± {100 * accuracies.StandardDeviation():0.0} % ({results.Average(r => r.LogLoss):0.00})");
    }

    private static string Verdict(double[] differences)
    {
        if (differences.Length < 2)
            return "one seed";
        var error = differences.StandardDeviation() / Math.Sqrt(differences.Length);
        return Math.Abs(differences.Average()) <= Significant * error ? "tied" : differences.Average() > 0 ? "**won**" : "lost";
    }

    private sealed record Result(double Accuracy, double LogLoss, double CalibrationError, float Level, float Temperature);
}
