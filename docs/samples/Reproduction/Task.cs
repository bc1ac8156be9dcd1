using Microsoft.ML;
using Microsoft.ML.Flooding;

namespace Reproduction;

/// <summary>A task on which the methods are compared.</summary>
/// <param name="Name">The heading of its table.</param>
/// <param name="Levels">The flood levels to try, in addition to 0.</param>
/// <param name="Configure">Sets the network, the optimizer, and, if there is no validation set, the share to hold out.</param>
/// <param name="Draw">Draws the sets of a seed. Each seed has its own samples, flipped labels and split.</param>
internal sealed record Task(
    string Name, FloodLevels Levels, Action<FloodedImageClassificationTrainer.Options> Configure, Func<int, Sets> Draw);

/// <summary>The data of one run. Only training uses the training set, and only the reported figures use the test set.</summary>
/// <param name="Train">The training set.</param>
/// <param name="Validation">The set that chooses flood levels and epochs. Null: the run holds out a part of the training set.</param>
/// <param name="Test">The test set, with the true labels.</param>
internal sealed record Sets(IDataView Train, IDataView? Validation, IDataView Test);
