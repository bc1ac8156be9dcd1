using Microsoft.ML.Flooding;

namespace Reproduction;

/// <summary>How large the runs are.</summary>
internal sealed record Scale
{
    /// <summary>What is compared.</summary>
    public required IReadOnlyList<Method> Methods { get; init; }

    /// <summary>Epochs of image runs.</summary>
    public required int Epochs { get; init; }

    /// <summary>Images of a mini-batch.</summary>
    public required int BatchSize { get; init; }

    /// <summary>The learning rate of image runs.</summary>
    public required double LearningRate { get; init; }

    /// <summary>Of the learning rate of image runs.</summary>
    public required LearningRateSchedule Schedule { get; init; }

    /// <summary>For Fashion-MNIST and its like.</summary>
    public required Architecture Perceptron { get; init; }

    /// <summary>Levels that are tried on images with clean labels.</summary>
    public required FloodLevels CleanLevels { get; init; }

    /// <summary>Levels that are tried on images with flipped labels.</summary>
    public required FloodLevels NoisyLevels { get; init; }

    /// <summary>Epochs on the synthetic sets.</summary>
    public required int SyntheticEpochs { get; init; }

    /// <summary>Shares of labels that are flipped in the sinusoid and the spiral.</summary>
    public required IReadOnlyList<double> SyntheticNoise { get; init; }

    /// <summary>Levels that are tried on the synthetic sets.</summary>
    public required FloodLevels SyntheticLevels { get; init; }

    /// <summary>Training images of CIFAR-10, validation included.</summary>
    public required int CifarImages { get; init; }

    /// <summary>For CIFAR-10.</summary>
    public required Architecture CifarNetwork { get; init; }

    /// <summary>What two cores do in some minutes.</summary>
    public static Scale Small { get; } = new()
    {
        Methods = Method.Single,
        Epochs = 20,
        BatchSize = 128,
        LearningRate = 0.01,
        Schedule = LearningRateSchedule.Constant,
        Perceptron = Architecture.Mlp,
        CleanLevels = ByAccuracy(FloodLevels.Of(0.05f, 0.2f)),
        NoisyLevels = ByAccuracy(FloodLevels.Of(0.3f, 0.8f)),
        SyntheticEpochs = 100,
        SyntheticNoise = [0.05],
        SyntheticLevels = ByAccuracy(FloodLevels.Of(0.05f, 0.1f, 0.2f, 0.3f)),
        CifarImages = 5000,
        CifarNetwork = Architecture.ConvNet,
    };

    /// <summary>The paper's settings; docs/reproduction.md lists what still differs.</summary>
    public static Scale Full { get; } = new()
    {
        Methods = Method.All,
        Epochs = 500,
        BatchSize = 200,
        LearningRate = 0.1,
        Schedule = LearningRateSchedule.Paper,
        Perceptron = Architecture.Mlp.WithHiddenSizes(1000, 1000),
        CleanLevels = ByAccuracy(FloodLevels.Range(0, 0.10f, 0.01f)),
        NoisyLevels = ByAccuracy(FloodLevels.Range(0, 1, 0.1f)),
        SyntheticEpochs = 500,
        SyntheticNoise = [0.01, 0.05, 0.1],
        SyntheticLevels = ByAccuracy(FloodLevels.Range(0, 0.50f, 0.01f)),
        CifarImages = 50_000,
        CifarNetwork = Architecture.ResNet18,
    };

    private static FloodLevels ByAccuracy(FloodLevels levels) => levels with { Metric = FloodLevelMetric.Accuracy };
}
