using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Objectives;

/// <summary>
/// Which labels are probably wrong, by the probabilities that networks give to images they were not trained on (Northcutt, Jiang and
/// Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels", JAIR 2021).
/// </summary>
internal sealed class ConfidentLearning
{
    private ConfidentLearning(double[][] joint, bool[] suspected) => (Joint, Suspected) = (joint, suspected);

    /// <summary>
    /// The estimated number of images with given label i and true label j. The sum of a row is the number of images with that label.
    /// </summary>
    public IReadOnlyList<IReadOnlyList<double>> Joint { get; }

    /// <summary>Whether each label is probably wrong (prune by noise rate).</summary>
    public IReadOnlyList<bool> Suspected { get; }

    /// <summary>Estimates the joint distribution of given and true labels, and which labels are wrong.</summary>
    /// <param name="probabilities">float32 [N, K] on the CPU.</param>
    /// <param name="labels">int64 [N] on the CPU.</param>
    public static ConfidentLearning Of(Tensor probabilities, Tensor labels)
    {
        var classes = (int)probabilities.shape[1];
        var given = labels.data<long>().ToArray();
        var values = probabilities.contiguous().data<float>().ToArray();
        double P(int row, long label) => values[((long)row * classes) + label];
        var joint = EstimateJoint(given, classes, P);
        var suspected = new bool[given.Length];
        foreach (var rows in Enumerable.Range(0, given.Length).GroupBy(row => given[row]))
        {
            var label = rows.Key;
            for (var other = 0; other < classes; other++)
            {
                if (other == label)
                    continue;
                var count = (int)Math.Round(joint[label][other]);
                var likely = rows.Where(row => P(row, other) > P(row, label))
                    .OrderByDescending(row => P(row, other) - P(row, label)).Take(count);
                foreach (var row in likely)
                    suspected[row] = true;
            }
            KeepOne(rows, row => P(row, label), suspected);
        }
        return new ConfidentLearning(joint, suspected);
    }

    private static double[][] EstimateJoint(long[] given, int classes, Func<int, long, double> probability)
    {
        var counts = new double[classes];
        var thresholds = new double[classes];
        for (var row = 0; row < given.Length; row++)
        {
            counts[given[row]]++;
            thresholds[given[row]] += probability(row, given[row]);
        }
        for (var label = 0; label < classes; label++)
            thresholds[label] = counts[label] > 0 ? thresholds[label] / counts[label] : double.PositiveInfinity;
        double[][] joint = [.. Enumerable.Range(0, classes).Select(_ => new double[classes])];
        for (var row = 0; row < given.Length; row++)
        {
            // The class that the network is surest of, among those it is as sure of as it is on average for images of that class.
            var confident = -1;
            for (var label = 0; label < classes; label++)
            {
                if (probability(row, label) >= thresholds[label]
                    && (confident < 0 || probability(row, label) > probability(row, confident)))
                    confident = label;
            }
            if (confident >= 0)
                joint[given[row]][confident]++;
        }
        for (var label = 0; label < classes; label++)
        {
            var total = joint[label].Sum();
            if (total == 0)
                joint[label][label] = counts[label];
            else
                for (var other = 0; other < classes; other++)
                    joint[label][other] *= counts[label] / total;
        }
        return joint;
    }

    /// <summary>A class never loses all of its images.</summary>
    private static void KeepOne(IEnumerable<int> rows, Func<int, double> confidence, bool[] suspected)
    {
        if (rows.All(row => suspected[row]))
            suspected[rows.MaxBy(confidence)] = false;
    }
}
