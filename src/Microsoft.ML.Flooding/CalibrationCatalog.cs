using Microsoft.ML.Flooding;

namespace Microsoft.ML;

/// <summary>Calibration of a multiclass classifier where ML.NET users look for metrics.</summary>
public static class CalibrationCatalog
{
    /// <summary>
    /// Compares the confidence of scored data with its accuracy: expected calibration error and reliability bins (Guo et al., "On Calibration of
    /// Modern Neural Networks", 2017). Rows without a label are left out.
    /// </summary>
    /// <param name="catalog">The multiclass catalog.</param>
    /// <param name="data">Scored data of any multiclass classifier whose score is a probability each class.</param>
    /// <param name="labelColumnName">The label column, a key.</param>
    /// <param name="scoreColumnName">The score column, a vector of Single in the order of the label's keys.</param>
    /// <param name="bins">The number of bins over the confidence, from 1 to 10,000; 15 in the paper.</param>
    /// <exception cref="ArgumentException">A column is missing or of the wrong type.</exception>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="bins"/> is out of its range.</exception>
    public static CalibrationMetrics EvaluateCalibration(
        this MulticlassClassificationCatalog catalog, IDataView data, string labelColumnName = "Label", string scoreColumnName = "Score", int bins = 15)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(data);
        return CalibrationMetrics.Of(data, labelColumnName, scoreColumnName, bins);
    }
}
