using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Images;

/// <summary>Images that are in memory together. The i-th in order is at <paramref name="Slots"/>[i] of <paramref name="Pixels"/>.</summary>
/// <param name="Pixels">[N, H, W, C].</param>
/// <param name="Slots">int64 [N].</param>
/// <param name="Positions">Where the i-th image stands in the order of the pass: int64 [N], ascending.</param>
internal sealed record ImageBlock(Tensor Pixels, Tensor Slots, Tensor Positions) : IDisposable
{
    public long Count => Slots.shape[0];

    /// <inheritdoc/>
    public void Dispose()
    {
        Pixels.Dispose();
        Slots.Dispose();
        Positions.Dispose();
    }
}
