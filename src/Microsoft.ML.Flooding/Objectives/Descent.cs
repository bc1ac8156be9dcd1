using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Objectives;

/// <summary>What an objective makes of one mini-batch.</summary>
/// <param name="Minimised">The scalar whose gradient is followed, but for constants, which have none.</param>
/// <param name="Flooded">
/// Scalar, the share of the batch below its flood level: float32 in [0, 1], or a bool where the batch is below as a whole or not. Null where the objective
/// has no level.
/// </param>
/// <param name="Direction">float32 scalar that the gradient is multiplied by; null for 1.</param>
internal readonly record struct Descent(Tensor Minimised, Tensor? Flooded = null, Tensor? Direction = null);
