using Microsoft.ML.Flooding;

namespace Reproduction;

/// <summary>How large the runs are.</summary>
/// <param name="Epochs">Of image runs.</param>
/// <param name="SyntheticEpochs">Of the synthetic sets.</param>
/// <param name="SyntheticNoise">Shares of labels flipped in the sinusoid and the spiral.</param>
/// <param name="Schedule">Of the learning rate.</param>
/// <param name="CleanLevels">Tried where labels are clean.</param>
/// <param name="NoisyLevels">Tried where labels are flipped.</param>
/// <param name="CifarImages">Training images of CIFAR-10, validation included.</param>
/// <param name="CifarNetwork">For CIFAR-10.</param>
/// <param name="CifarLearningRate">For CIFAR-10.</param>
internal sealed record Scale(
    int Epochs, int SyntheticEpochs, IReadOnlyList<double> SyntheticNoise, LearningRateSchedule Schedule, FloodLevels CleanLevels, FloodLevels NoisyLevels, int CifarImages,
    Architecture CifarNetwork, double CifarLearningRate)
{
    /// <summary>What two cores do in an hour, CIFAR-10 aside.</summary>
    public static Scale Small { get; } = new(
        30, 60, [0.05], LearningRateSchedule.Constant, FloodLevels.Of(0.02f, 0.05f, 0.1f, 0.2f), FloodLevels.Of(0.1f, 0.3f, 0.5f, 0.8f), 5000,
        Architecture.ConvNet, 0.02);

    /// <summary>The paper's benchmark settings: 500 epochs of SGD with momentum 0.9, levels 0 to 0.10 by 0.01, a ResNet-18 for CIFAR-10.</summary>
    public static Scale Full { get; } = new(
        500, 500, [0.01, 0.05, 0.1], LearningRateSchedule.Paper, FloodLevels.Range(0, 0.10f, 0.01f), FloodLevels.Range(0, 1, 0.1f), 50_000,
        Architecture.ResNet18, 0.1);
}
