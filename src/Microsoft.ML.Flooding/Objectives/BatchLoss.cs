using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Objectives;

/// <summary>The cross-entropy of one mini-batch, before any objective reshapes it.</summary>
/// <param name="PerSample">float32 [N]: one loss a sample.</param>
/// <param name="Mean">float32 scalar: their mean, the J of the paper.</param>
/// <param name="Labels">int64 [N]: the class of each sample.</param>
/// <param name="Rows">int64 [N]: the row of each sample in the training set.</param>
internal readonly record struct BatchLoss(Tensor PerSample, Tensor Mean, Tensor Labels, Tensor Rows);
