using Microsoft.ML.Flooding;

namespace Microsoft.ML;

/// <summary>Extension methods that evaluate the calibration of multiclass classifiers.</summary>
public static class CalibrationCatalog
{
    /// <summary>
    /// Compares the confidence of predictions with their accuracy: expected calibration error and reliability bins (Guo et al., "On
    /// Calibration of Modern Neural Networks", 2017). Rows without a label are ignored.
    /// </summary>
    /// <param name="catalog">The multiclass catalog.</param>
    /// <param name="data">Scored data of any multiclass classifier whose scores are the probabilities of the classes.</param>
    /// <param name="labelColumnName">The label column, a key.</param>
    /// <param name="scoreColumnName">The score column, a vector of Single in the order of the label's keys.</param>
    /// <param name="bins">The number of bins of the confidence, from 1 to 10,000. The paper uses 15.</param>
    /// <exception cref="ArgumentException">A column is missing or has the wrong type.</exception>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="bins"/> is out of its range.</exception>
    public static CalibrationMetrics EvaluateCalibration(
        this MulticlassClassificationCatalog catalog, IDataView data, string labelColumnName = "Label", string scoreColumnName = "Score",
        int bins = 15)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(data);
        return CalibrationMetrics.Of(data, labelColumnName, scoreColumnName, bins);
    }
}
