using Microsoft.ML.Flooding;

namespace Cluster;

/// <summary>The levels of two searches, side by side.</summary>
internal static class Table
{
    /// <summary>Writes the table and compares every figure of every epoch.</summary>
    public static bool Write(FloodedImageClassificationTransformer alone, FloodedImageClassificationTransformer together)
    {
        Console.WriteLine();
        Console.WriteLine("        One process           Three workers");
        Console.WriteLine(" Level  val. loss  accuracy   val. loss  accuracy");
        foreach (var (a, b) in alone.Trials.Zip(together.Trials))
            Console.WriteLine(
                $"{a.FloodLevel,6}  {a.ValidationLoss,9:0.00000}  {a.ValidationAccuracy,8:P1}   "
                + $"{b.ValidationLoss,9:0.00000}  {b.ValidationAccuracy,8:P1}");
        Console.WriteLine($"Chosen: {alone.FloodLevel} and {together.FloodLevel}.");
        return alone.FloodLevel == together.FloodLevel && Epochs(alone).SequenceEqual(Epochs(together));
    }

    // The speed differs.
    private static IEnumerable<EpochMetrics> Epochs(FloodedImageClassificationTransformer search) =>
        search.Trials.SelectMany(trial => trial.History.Epochs).Select(epoch => epoch with { ImagesPerSecond = 0 });
}
