using Microsoft.ML;
using Microsoft.ML.Flooding;

namespace Reproduction;

/// <summary>Data to compare the methods on. Nothing but training sees the training set, nothing but the reported figures the test set.</summary>
/// <param name="Name">Heads its table.</param>
/// <param name="Train">To train on.</param>
/// <param name="Validation">Chooses levels and epochs; its labels are as noisy as those of the training set.</param>
/// <param name="Test">With the true labels.</param>
/// <param name="Levels">The flood levels that are tried, besides 0.</param>
/// <param name="Configure">Sets network and optimizer.</param>
internal sealed record Task(
    string Name, IDataView Train, IDataView Validation, IDataView Test, FloodLevels Levels, Action<FloodedImageClassificationTrainer.Options> Configure);
