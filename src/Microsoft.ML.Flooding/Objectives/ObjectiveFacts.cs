using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Objectives;

/// <summary>What an objective may make its levels from.</summary>
/// <param name="ClassCounts">The training images of each class.</param>
/// <param name="HeldOutProbabilities">
/// By the number of folds: float32 [rows of the set], the probability that a network trained without a row's fold gives to the row's label.
/// Trains those networks when called.
/// </param>
/// <param name="Device">Where the levels are needed.</param>
internal sealed record ObjectiveFacts(IReadOnlyList<long> ClassCounts, Func<int, Tensor> HeldOutProbabilities, Device Device);
