using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Microsoft.ML.Flooding.Images;

/// <summary>Normalizes pixels [H, W, C] to float32 planes [C, H, W], the layout of ONNX, without libtorch.</summary>
internal sealed class PlanarNormalizer(Normalization normalization)
{
    private const int Colors = 3;

    private readonly float[] _mean = normalization.Mean;
    private readonly float[] _scale = normalization.Scale;

    // For each channel and each of three vectors of pixels: where the channel's values are in the vector. Other lanes become 0.
    private readonly Vector128<byte>[] _places =
        [.. Enumerable.Range(0, Colors * Colors).Select(i => Places(channel: i / Colors, vector: i % Colors))];

    /// <summary>Normalizes one image of a batch.</summary>
    public void Apply(PixelBatch pixels, int index, Span<float> planes)
    {
        if (pixels.AreFloats)
            Separate(pixels.Image<float>(index), planes);
        else if (_mean.Length is 1 or Colors && Vector128.IsHardwareAccelerated)
            Separate(pixels.Image<byte>(index), planes, _mean.Length == 1 ? Gray(pixels.Image<byte>(index), planes)
                : Color(pixels.Image<byte>(index), planes));
        else
            Separate(pixels.Image<byte>(index), planes, 0);
    }

    private static Vector128<byte> Places(int channel, int vector)
    {
        var places = new byte[Vector128<byte>.Count];
        for (var pixel = 0; pixel < places.Length; pixel++)
        {
            var place = (Colors * pixel) + channel - (vector * places.Length);
            places[pixel] = place >= 0 && place < places.Length ? (byte)place : byte.MaxValue;
        }
        return Vector128.Create(places);
    }

    /// <summary>Normalizes whole vectors of an image of one channel, and returns the number of pixels.</summary>
    private int Gray(ReadOnlySpan<byte> pixels, Span<float> planes)
    {
        ref var source = ref MemoryMarshal.GetReference(pixels);
        ref var target = ref MemoryMarshal.GetReference(planes);
        var done = pixels.Length - (pixels.Length % Vector128<byte>.Count);
        for (var i = 0; i < done; i += Vector128<byte>.Count)
            Store(Vector128.LoadUnsafe(ref source, (nuint)i), 0, ref Unsafe.Add(ref target, i));
        return done;
    }

    /// <summary>Normalizes whole vectors of an image of three channels, and returns the number of pixels.</summary>
    private int Color(ReadOnlySpan<byte> pixels, Span<float> planes)
    {
        var lanes = Vector128<byte>.Count;
        var area = pixels.Length / Colors;
        ref var source = ref MemoryMarshal.GetReference(pixels);
        ref var target = ref MemoryMarshal.GetReference(planes);
        var done = area - (area % lanes);
        for (var i = 0; i < done; i += lanes)
        {
            var first = (nuint)(Colors * i);
            var (x, y, z) = (Vector128.LoadUnsafe(ref source, first), Vector128.LoadUnsafe(ref source, first + (nuint)lanes),
                Vector128.LoadUnsafe(ref source, first + (nuint)(2 * lanes)));
            for (var channel = 0; channel < Colors; channel++)
            {
                var values = Vector128.ShuffleNative(x, _places[Colors * channel])
                    | Vector128.ShuffleNative(y, _places[(Colors * channel) + 1])
                    | Vector128.ShuffleNative(z, _places[(Colors * channel) + 2]);
                Store(values, channel, ref Unsafe.Add(ref target, (channel * area) + i));
            }
        }
        return done;
    }

    /// <summary>Normalizes sixteen values of a channel.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private void Store(Vector128<byte> values, int channel, ref float target)
    {
        var (mean, scale) = (Vector256.Create(_mean[channel]), Vector256.Create(_scale[channel]));
        var (low, high) = (Vector128.WidenLower(values), Vector128.WidenUpper(values));
        ((ToFloats(low) - mean) * scale).StoreUnsafe(ref target);
        ((ToFloats(high) - mean) * scale).StoreUnsafe(ref target, (nuint)Vector256<float>.Count);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<float> ToFloats(Vector128<ushort> values) =>
        Vector256.ConvertToSingle(Vector256.Create(Vector128.WidenLower(values), Vector128.WidenUpper(values)).AsInt32());

    /// <summary>Normalizes the pixels from <paramref name="from"/> on, one value after the other.</summary>
    private void Separate(ReadOnlySpan<byte> pixels, Span<float> planes, int from)
    {
        var (channels, area) = (_mean.Length, pixels.Length / _mean.Length);
        for (var channel = 0; channel < channels; channel++)
        {
            for (var i = from; i < area; i++)
                planes[(channel * area) + i] = (pixels[(i * channels) + channel] - _mean[channel]) * _scale[channel];
        }
    }

    private void Separate(ReadOnlySpan<float> pixels, Span<float> planes)
    {
        var (channels, area) = (_mean.Length, pixels.Length / _mean.Length);
        for (var channel = 0; channel < channels; channel++)
        {
            for (var i = 0; i < area; i++)
                planes[(channel * area) + i] = (pixels[(i * channels) + channel] - _mean[channel]) * _scale[channel];
        }
    }
}
