using Microsoft.ML.Flooding;

namespace Reproduction;

/// <summary>The size of the runs.</summary>
internal sealed record Scale
{
    /// <summary>The methods to compare.</summary>
    public required IReadOnlyList<Method> Methods { get; init; }

    /// <summary>The epochs of runs on images.</summary>
    public required int Epochs { get; init; }

    /// <summary>The images in a mini-batch.</summary>
    public required int BatchSize { get; init; }

    /// <summary>The initial learning rate of runs on images.</summary>
    public required double LearningRate { get; init; }

    /// <summary>The learning rate schedule of runs on images.</summary>
    public required LearningRateSchedule Schedule { get; init; }

    /// <summary>The network for data sets in the format of MNIST.</summary>
    public required Architecture Perceptron { get; init; }

    /// <summary>The flood levels to try on images with clean labels.</summary>
    public required FloodLevels CleanLevels { get; init; }

    /// <summary>The flood levels to try on images with flipped labels.</summary>
    public required FloodLevels NoisyLevels { get; init; }

    /// <summary>The epochs of runs on the synthetic sets.</summary>
    public required int SyntheticEpochs { get; init; }

    /// <summary>The shares of labels to flip in the sinusoid and the spiral.</summary>
    public required IReadOnlyList<double> SyntheticNoise { get; init; }

    /// <summary>The flood levels to try on the synthetic sets.</summary>
    public required FloodLevels SyntheticLevels { get; init; }

    /// <summary>The training images of CIFAR-10, including those for validation.</summary>
    public required int CifarImages { get; init; }

    /// <summary>The network for CIFAR-10.</summary>
    public required Architecture CifarNetwork { get; init; }

    /// <summary>Settings that take a few minutes on two cores.</summary>
    public static Scale Small { get; } = new()
    {
        Methods = Method.Single,
        Epochs = 20,
        BatchSize = 128,
        LearningRate = 0.01,
        Schedule = LearningRateSchedule.Constant,
        Perceptron = Architecture.Mlp,
        CleanLevels = ByAccuracy(FloodLevels.Create(0.05f, 0.2f)),
        NoisyLevels = ByAccuracy(FloodLevels.Create(0.3f, 0.8f)),
        SyntheticEpochs = 100,
        SyntheticNoise = [0.05],
        SyntheticLevels = ByAccuracy(FloodLevels.Create(0.05f, 0.1f, 0.2f, 0.3f)),
        CifarImages = 5000,
        CifarNetwork = Architecture.ConvNet,
    };

    /// <summary>The paper's settings. docs/reproduction.md lists the remaining differences.</summary>
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

    /// <summary>Sets the options that all runs on images share.</summary>
    public void Configure(FloodedImageClassificationTrainer.Options options)
    {
        options.Epochs = Epochs;
        options.Schedule = Schedule;
        options.BatchSize = BatchSize;
        options.LearningRate = LearningRate;
    }

    private static FloodLevels ByAccuracy(FloodLevels levels) => levels with { Metric = ValidationMetric.Accuracy };
}
