using Microsoft.ML.Data;
using Microsoft.ML.Flooding;

namespace FashionMnist;

/// <summary>How good one model is on the test set.</summary>
/// <param name="Accuracy">In [0, 1].</param>
/// <param name="LogLoss">Natural logarithm.</param>
internal readonly record struct Score(double Accuracy, double LogLoss)
{
    public static Score Raw(EpochMetrics epoch) => new(epoch.ValidationAccuracy!.Value, epoch.ValidationLoss!.Value);

    public static Score Averaged(EpochMetrics epoch) => new(epoch.AveragedValidationAccuracy!.Value, epoch.AveragedValidationLoss!.Value);

    public static Score Of(MulticlassClassificationMetrics metrics) => new(metrics.MicroAccuracy, metrics.LogLoss);
}
