using System.Globalization;
using Microsoft.ML.Data;
using Microsoft.ML.Flooding.Images;

namespace Microsoft.ML.Flooding;

/// <summary>
/// How far a classifier's confidence (the probability of its most probable class) is from its accuracy. Compute it with
/// <c>mlContext.MulticlassClassification.EvaluateCalibration</c>.
/// </summary>
public sealed record CalibrationMetrics
{
    private const int MostBins = 10_000;

    private CalibrationMetrics(IReadOnlyList<ReliabilityBin> bins) => Bins = bins;

    /// <summary>Bins of equal width over the confidence, in ascending order, including empty bins.</summary>
    public IReadOnlyList<ReliabilityBin> Bins { get; }

    /// <summary>The number of evaluated rows.</summary>
    public long Count => Bins.Sum(b => b.Count);

    /// <summary>
    /// The mean over the rows of the difference between the confidence and the accuracy of their bin, in [0, 1] (Naeini et al., 2015; Guo
    /// et al., 2017). 0 is perfect. NaN if there are no rows.
    /// </summary>
    public double ExpectedCalibrationError => Count == 0 ? double.NaN : Bins.Sum(b => b.Count * Distance(b)) / Count;

    /// <summary>
    /// The largest difference between the confidence and the accuracy of a bin that has rows, in [0, 1]. NaN if there are no rows.
    /// </summary>
    public double MaximumCalibrationError => Count == 0 ? double.NaN : Bins.Where(b => b.Count > 0).Max(Distance);

    /// <summary>
    /// The mean confidence minus the accuracy: above 0 the classifier is overconfident, below 0 underconfident. NaN if there are no rows.
    /// </summary>
    public double Overconfidence => Count == 0
        ? double.NaN
        : Bins.Where(b => b.Count > 0).Sum(b => b.Count * (b.Confidence - b.Accuracy)) / Count;

    /// <summary>Returns the errors as one sentence.</summary>
    public override string ToString() => string.Create(CultureInfo.InvariantCulture,
        $"Expected calibration error {ExpectedCalibrationError:0.0000} over {Count} rows, largest {MaximumCalibrationError:0.0000}; "
        + $"overconfidence {Overconfidence:0.0000}.");

    /// <summary>Evaluates the rows of scored data.</summary>
    /// <param name="data">Data with a key label and a score vector that has a probability for each class.</param>
    /// <param name="labelColumnName">The label column.</param>
    /// <param name="scoreColumnName">The score column.</param>
    /// <param name="bins">The number of bins, from 1 to 10,000.</param>
    internal static CalibrationMetrics Of(IDataView data, string labelColumnName, string scoreColumnName, int bins)
    {
        if (bins is < 1 or > MostBins)
            throw new ArgumentOutOfRangeException(nameof(bins), bins, $"The number of bins must be from 1 to {MostBins}.");
        var label = Column(data, labelColumnName);
        var score = Column(data, scoreColumnName);
        if (score.Type is not VectorDataViewType { ItemType: NumberDataViewType { RawType: var item } } || item != typeof(float))
            throw new ArgumentException(
                $"The score column '{scoreColumnName}' must be a vector of Single, but is {score.Type}.", nameof(scoreColumnName));
        var counts = new long[bins];
        var correct = new long[bins];
        var confidences = new double[bins];
        using var cursor = data.GetRowCursor([label, score]);
        var readLabel = LabelReader.CreateGetter(cursor, labelColumnName);
        var readScore = cursor.GetGetter<VBuffer<float>>(score);
        var buffer = default(VBuffer<float>);
        while (cursor.MoveNext())
        {
            var actual = readLabel();
            readScore(ref buffer);
            var (predicted, confidence) = buffer.DenseValues().Select((p, i) => (i, p)).MaxBy(s => s.p);
            if (actual < 0 || float.IsNaN(confidence))
                continue;
            // A bin includes its upper bound, as in Guo et al.
            var bin = Math.Clamp((int)Math.Ceiling(confidence * bins) - 1, 0, bins - 1);
            counts[bin]++;
            confidences[bin] += confidence;
            if (predicted == actual)
                correct[bin]++;
        }
        return new CalibrationMetrics([.. Enumerable.Range(0, bins).Select(i => new ReliabilityBin(
            (double)i / bins, (double)(i + 1) / bins, counts[i],
            counts[i] == 0 ? double.NaN : confidences[i] / counts[i], counts[i] == 0 ? double.NaN : (double)correct[i] / counts[i]))]);
    }

    private static double Distance(ReliabilityBin bin) => bin.Count == 0 ? 0 : Math.Abs(bin.Accuracy - bin.Confidence);

    private static DataViewSchema.Column Column(IDataView data, string name) =>
        data.Schema.GetColumnOrNull(name) ?? throw new ArgumentException(
            $"The data has no column '{name}'. Its columns: {string.Join(", ", data.Schema.Select(c => c.Name))}.");
}

/// <summary>The rows with a confidence in a range.</summary>
/// <param name="LowerBound">The lower bound of the confidence, exclusive.</param>
/// <param name="UpperBound">The upper bound of the confidence, inclusive.</param>
/// <param name="Count">The number of rows in the bin.</param>
/// <param name="Confidence">The mean confidence of the rows, in [0, 1]; NaN if there are none.</param>
/// <param name="Accuracy">The share of the rows that are classified correctly, in [0, 1]; NaN if there are none.</param>
public readonly record struct ReliabilityBin(double LowerBound, double UpperBound, long Count, double Confidence, double Accuracy);
