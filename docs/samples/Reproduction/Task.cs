using Microsoft.ML;
using Microsoft.ML.Flooding;

namespace Reproduction;

/// <summary>Data to compare the methods on.</summary>
/// <param name="Name">Heads its table.</param>
/// <param name="Levels">The flood levels that are tried, besides 0.</param>
/// <param name="Configure">Sets network and optimizer, and how much is held out where there is no validation set.</param>
/// <param name="Draw">The sets of a seed: samples, flipped labels and split are drawn anew for each.</param>
internal sealed record Task(
    string Name, FloodLevels Levels, Action<FloodedImageClassificationTrainer.Options> Configure, Func<int, Sets> Draw);

/// <summary>Nothing but training sees the training set, nothing but the reported figures the test set.</summary>
/// <param name="Train">To train on.</param>
/// <param name="Validation">Chooses levels and epochs; null where the run holds out a part of the training set, by its seed.</param>
/// <param name="Test">With the true labels.</param>
internal sealed record Sets(IDataView Train, IDataView? Validation, IDataView Test);
