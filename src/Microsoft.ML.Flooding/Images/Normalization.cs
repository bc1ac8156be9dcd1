using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Text.Json.Serialization;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Images;

/// <summary>
/// The mean and standard deviation of each channel, in the units of the raw pixels. They turn pixels into the network's input.
/// </summary>
internal sealed record Normalization(float[] Mean, float[] Deviation)
{
    // The deviation of a constant channel is 0, or no more than the rounding error of its mean.
    private const float DeviationOfConstants = 1e-3f;
    private const float Rounding = 1e-6f;

    // The reciprocal of a smaller deviation is near the largest float32.
    private const float SmallestDeviation = 1e-30f;

    /// <summary>The factor for the difference from the mean, for each channel, in any unit of the pixels.</summary>
    [JsonIgnore]
    public float[] Scale => [.. Mean.Zip(Deviation, ScaleOf)];

    /// <summary>Creates the normalizer on <paramref name="device"/>.</summary>
    public PixelNormalizer On(Device device) => new(this, device);

    private static float ScaleOf(float mean, float deviation) =>
        1 / (deviation > Math.Max(Rounding * Math.Abs(mean), SmallestDeviation) ? deviation : Math.Max(deviation, DeviationOfConstants));

    internal sealed class PixelNormalizer : IDisposable
    {
        // The float32 output must fit in a span.
        private const long MaxBytes = int.MaxValue / sizeof(float);

        private readonly Tensor _shift;
        private readonly Tensor _scale;

        // Repeated for as many pixels as a vector has lanes: a whole number of vectors for any number of channels.
        private readonly float[] _shifts;
        private readonly float[] _scales;

        public PixelNormalizer(Normalization normalization, Device device)
        {
            using var scope = NewDisposeScope();
            var channels = normalization.Mean.Length;
            _scale = tensor(normalization.Scale, device: device).reshape(1, channels, 1, 1).DetachFromDisposeScope();
            _shift = tensor(normalization.Mean, device: device).reshape(1, channels, 1, 1).DetachFromDisposeScope();
            _shifts = Repeat(normalization.Mean);
            _scales = Repeat(normalization.Scale);
        }

        /// <summary>Normalizes [N, H, W, C] pixels (uint8 or float32) to float32 [N, C, H, W], channels_last in memory.</summary>
        public Tensor Apply(Tensor pixels) =>
            pixels.dtype == ScalarType.Byte && pixels.device_type == DeviceType.CPU && pixels.is_contiguous() && pixels.numel() <= MaxBytes
                ? ApplyToBytes(pixels)
                : ApplyInPlace(ToFloat(pixels));

        /// <summary>
        /// Converts [N, H, W, C] pixels (uint8 or float32) to float32 [N, C, H, W] in pixel units, channels_last in memory. Always copies.
        /// </summary>
        public static Tensor ToFloat(Tensor pixels)
        {
            using var view = pixels.permute(0, 3, 1, 2);
            return view.to(ScalarType.Float32, copy: true);
        }

        /// <summary>Normalizes float32 images [N, C, H, W] in place.</summary>
        public Tensor ApplyInPlace(Tensor images) => images.sub_(_shift).mul_(_scale);

        public void Dispose()
        {
            _shift.Dispose();
            _scale.Dispose();
        }

        private static float[] Repeat(float[] values) => [.. Enumerable.Range(0, Vector256<float>.Count).SelectMany(_ => values)];

        /// <summary>The same arithmetic in one pass. libtorch needs three, and wakes its threads for each.</summary>
        private Tensor ApplyToBytes(Tensor pixels)
        {
            using var values = empty(pixels.shape, ScalarType.Float32);
            Normalize(pixels.bytes, MemoryMarshal.Cast<byte, float>(values.bytes));
            return values.permute(0, 3, 1, 2);
        }

        private void Normalize(ReadOnlySpan<byte> pixels, Span<float> values)
        {
            var lanes = Vector256<float>.Count;
            ref var pixel = ref MemoryMarshal.GetReference(pixels);
            ref var value = ref MemoryMarshal.GetReference(values);
            ref var shift = ref MemoryMarshal.GetArrayDataReference(_shifts);
            ref var scale = ref MemoryMarshal.GetArrayDataReference(_scales);
            nuint i = 0, channel = 0;
            for (; i + (nuint)lanes <= (nuint)pixels.Length; i += (nuint)lanes)
            {
                var bytes = Vector128.CreateScalarUnsafe(Unsafe.ReadUnaligned<ulong>(ref Unsafe.Add(ref pixel, i))).AsByte();
                var shorts = Vector128.WidenLower(bytes);
                var integers = Vector256.Create(Vector128.WidenLower(shorts), Vector128.WidenUpper(shorts)).AsInt32();
                var floats = Vector256.ConvertToSingle(integers);
                ((floats - Vector256.LoadUnsafe(ref shift, channel)) * Vector256.LoadUnsafe(ref scale, channel)).StoreUnsafe(ref value, i);
                channel += (nuint)lanes;
                if (channel == (nuint)_shifts.Length)
                    channel = 0;
            }
            for (var rest = (int)i; rest < pixels.Length; rest++)
                values[rest] = (pixels[rest] - _shifts[rest % _shifts.Length]) * _scales[rest % _shifts.Length];
        }
    }
}
