using Microsoft.ML.Data;

namespace Microsoft.ML.Flooding.Images;

/// <summary>Pixels with one channel after the other, as ML.NET's ExtractPixels writes them by default.</summary>
internal static class Planes
{
    /// <summary>Writes channels x height x width as height x width x channels.</summary>
    public static void Interleave<T>(in VBuffer<T> planes, int channels, Span<T> pixels)
    {
        var values = planes.GetValues();
        var area = pixels.Length / channels;
        if (planes.IsDense)
        {
            for (var (i, channel) = (0, 0); channel < channels; channel++)
            {
                for (var target = channel; target < pixels.Length; target += channels)
                    pixels[target] = values[i++];
            }

            return;
        }

        pixels.Clear();
        var indices = planes.GetIndices();
        for (var i = 0; i < values.Length; i++)
            pixels[(indices[i] % area * channels) + (indices[i] / area)] = values[i];
    }
}
