using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Objectives;

/// <summary>What an objective makes of one mini-batch.</summary>
/// <param name="Minimised">The scalar whose gradient is followed, but for constants, which have none.</param>
/// <param name="Balance">
/// float32 scalar in [-1, 1]: the share of the batch above its flood level less the share below it. Null where the objective has no level.
/// </param>
/// <param name="Direction">float32 scalar that the gradient is multiplied by; null for 1.</param>
internal readonly record struct Descent(Tensor Minimised, Tensor? Balance = null, Tensor? Direction = null);
