using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Images;

/// <summary>A mini-batch on the device.</summary>
/// <param name="Pixels">uint8 or float32 [B, H, W, C].</param>
/// <param name="Labels">int64 [B], class indices.</param>
/// <param name="Rows">int64 [B], row numbers in the set.</param>
internal readonly record struct ImageBatch(Tensor Pixels, Tensor Labels, Tensor Rows);
