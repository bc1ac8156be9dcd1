using static TorchSharp.torch.utils.tensorboard;

namespace Microsoft.ML.Flooding.Reports;

/// <summary>Writes each epoch to a TensorBoard event file. A continued run adds a file, and TensorBoard joins the files.</summary>
internal sealed class TensorBoardLog
{
    private readonly TorchSharp.Modules.SummaryWriter _writer;

    /// <summary>Creates an event file.</summary>
    /// <param name="folder">The folder of the file, created if it does not exist.</param>
    public TensorBoardLog(string folder)
    {
        Directory.CreateDirectory(folder);
        _writer = SummaryWriter(folder);
    }

    public void Write(EpochMetrics metrics)
    {
        Scalar("loss/training", metrics.TrainingLoss);
        Scalar("loss/validation", metrics.ValidationLoss);
        Scalar("loss/validation_averaged", metrics.AveragedValidationLoss);
        Scalar("accuracy/validation", metrics.ValidationAccuracy);
        Scalar("accuracy/validation_averaged", metrics.AveragedValidationAccuracy);
        Scalar("flood/share", metrics.FloodedShare);
        Scalar("optimization/gradient_norm", metrics.GradientNorm);
        Scalar("optimization/learning_rate", metrics.LearningRate);
        Scalar("speed/images_per_second", metrics.ImagesPerSecond);

        void Scalar(string tag, double? value)
        {
            if (value is { } known)
                _writer.add_scalar(tag, (float)known, metrics.Epoch);
        }
    }
}
