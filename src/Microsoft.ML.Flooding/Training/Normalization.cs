using System.Text.Json.Serialization;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Training;

/// <summary>Per-channel mean and deviation, in the units of the raw pixels, that turn pixels into the network's input.</summary>
internal sealed record Normalization(float[] Mean, float[] Deviation)
{
    /// <summary>A constant channel has no deviation to divide by.</summary>
    private const float SmallestDeviation = 1e-3f;

    /// <summary>What a difference from the mean is multiplied by.</summary>
    [JsonIgnore]
    public float[] Scale => [.. Deviation.Select(d => 1 / Math.Max(d, SmallestDeviation))];

    /// <summary>The map on <paramref name="device"/>, with the scale as a factor.</summary>
    public PixelNormalizer On(Device device) => new(this, device);

    internal sealed class PixelNormalizer : IDisposable
    {
        private readonly Tensor _shift;
        private readonly Tensor _scale;

        public PixelNormalizer(Normalization normalization, Device device)
        {
            using var scope = NewDisposeScope();
            var channels = normalization.Mean.Length;
            _scale = tensor(normalization.Scale, device: device)
                .reshape(1, channels, 1, 1).DetachFromDisposeScope();
            _shift = tensor(normalization.Mean, device: device).reshape(1, channels, 1, 1).DetachFromDisposeScope();
        }

        /// <summary>[N, H, W, C] pixels (uint8 or float32) to float32 [N, C, H, W], channels_last in memory.</summary>
        public Tensor Apply(Tensor pixels) => ApplyInPlace(ToFloat(pixels));

        /// <summary>[N, H, W, C] pixels (uint8 or float32) to float32 [N, C, H, W] in pixel units, channels_last in memory: always a copy.</summary>
        public static Tensor ToFloat(Tensor pixels)
        {
            using var view = pixels.permute(0, 3, 1, 2);
            return view.to(ScalarType.Float32, copy: true);
        }

        /// <summary>Normalises float32 [N, C, H, W] where they are.</summary>
        public Tensor ApplyInPlace(Tensor images) => images.sub_(_shift).mul_(_scale);

        public void Dispose()
        {
            _shift.Dispose();
            _scale.Dispose();
        }
    }
}
