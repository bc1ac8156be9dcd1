using System.Runtime.Intrinsics;

namespace Microsoft.ML.Flooding.Images;

/// <summary>
/// Resizes four-channel pixels to RGB with a bilinear filter, which is widened when shrinking to avoid aliasing (like Pillow's BILINEAR and
/// torchvision's antialias). Plain float arithmetic in a fixed order gives the same bytes on every machine.
/// </summary>
internal static unsafe class Resampler
{
    /// <summary>
    /// Resizes an area of RGBA or BGRA pixels, whose rows of <paramref name="sourceWidth"/> pixels have no gaps between them.
    /// </summary>
    public static void Resize(byte* source, int sourceWidth, SourceArea area, bool isBgra, Span<byte> rgb, int width, int height)
    {
        if (rgb.Length != width * height * 3)
            throw new ArgumentException("The buffer must have three bytes for each pixel.", nameof(rgb));
        var stride = (long)sourceWidth * 4;
        source += (area.Y * stride) + ((long)area.X * 4);
        var (red, blue) = isBgra ? (2, 0) : (0, 2);
        if (area.Width == width && area.Height == height)
        {
            fixed (byte* start = rgb)
            {
                var target = start;
                for (var y = 0; y < height; y++)
                {
                    var pixel = source + (y * stride);
                    for (var i = width; i > 0; i--, pixel += 4, target += 3)
                        (target[0], target[1], target[2]) = (pixel[red], pixel[1], pixel[blue]);
                }
            }
            return;
        }
        var columns = new Filter(area.Width, width);
        var rows = new Filter(area.Height, height);
        var ring = new RowRing(rows.Taps, width);
        var next = 0;
        for (var y = 0; y < height; y++)
        {
            var first = rows.First(y);
            var weights = rows.Weights(y);
            for (next = Math.Max(next, first); next < first + weights.Length; next++)
                Shrink(source + (next * stride), columns, ring[next]);

            var target = rgb.Slice(y * width * 3, width * 3);
            for (var x = 0; x < width; x++)
            {
                var sum = Vector128.Create(0.5f);
                for (var tap = 0; tap < weights.Length; tap++)
                    sum += ring[first + tap][x] * weights[tap];
                var value = Vector128.ConvertToInt32(sum);
                (target[x * 3], target[(x * 3) + 1], target[(x * 3) + 2]) = ((byte)value[red], (byte)value[1], (byte)value[blue]);
            }
        }
    }

    private static void Shrink(byte* row, Filter filter, Span<Vector128<float>> target)
    {
        for (var x = 0; x < target.Length; x++)
        {
            var pixel = (uint*)row + filter.First(x);
            var sum = Vector128<float>.Zero;
            foreach (var weight in filter.Weights(x))
            {
                var bytes = Vector128.CreateScalarUnsafe(*pixel++).AsByte();
                sum += Vector128.ConvertToSingle(Vector128.WidenLower(Vector128.WidenLower(bytes)).AsInt32()) * weight;
            }
            target[x] = sum;
        }
    }

    /// <summary>The source rows under the filter. Each row is resized in width only once.</summary>
    private readonly struct RowRing(int rows, int width)
    {
        private readonly Vector128<float>[] _pixels = new Vector128<float>[rows * width];

        public Span<Vector128<float>> this[int row] => _pixels.AsSpan(row % rows * width, width);
    }

    /// <summary>For each target position, the first source position and the weights that start there.</summary>
    private sealed class Filter
    {
        private readonly int[] _first;
        private readonly int[] _counts;
        private readonly float[] _weights;

        public Filter(int source, int target)
        {
            var scale = (double)source / target;
            var support = Math.Max(scale, 1);
            Taps = Math.Min(((int)Math.Ceiling(support) * 2) + 1, source);
            _first = new int[target];
            _counts = new int[target];
            _weights = new float[target * Taps];
            Span<double> weights = new double[Taps];
            for (var i = 0; i < target; i++)
            {
                var center = (i + 0.5) * scale;
                _first[i] = Math.Max((int)(center - support + 0.5), 0);
                _counts[i] = Math.Min((int)(center + support + 0.5), source) - _first[i];
                var sum = 0.0;
                for (var tap = 0; tap < _counts[i]; tap++)
                    sum += weights[tap] = Math.Max(0, 1 - Math.Abs((_first[i] + tap - center + 0.5) / support));
                for (var tap = 0; tap < _counts[i]; tap++)
                    _weights[(i * Taps) + tap] = (float)(weights[tap] / sum);
            }
        }

        public int Taps { get; }

        public int First(int i) => _first[i];

        public ReadOnlySpan<float> Weights(int i) => _weights.AsSpan(i * Taps, _counts[i]);
    }
}

/// <summary>The part of an image that is resized, in pixels.</summary>
internal readonly record struct SourceArea(int X, int Y, int Width, int Height)
{
    /// <summary>The area of an image that is resized to a target size.</summary>
    /// <param name="width">The width of the image.</param>
    /// <param name="height">The height of the image.</param>
    /// <param name="centerCrop">
    /// The size of a centered area with the target's proportions, as a share of the largest such area's side, in (0, 1]; null for the whole
    /// image, whatever its proportions.
    /// </param>
    /// <param name="targetWidth">The width of the target.</param>
    /// <param name="targetHeight">The height of the target.</param>
    public static SourceArea Of(int width, int height, double? centerCrop, int targetWidth, int targetHeight)
    {
        if (centerCrop is not { } share)
            return new SourceArea(0, 0, width, height);
        var scale = Math.Min((double)width / targetWidth, (double)height / targetHeight) * share;
        var w = Math.Clamp((int)Math.Round(targetWidth * scale), 1, width);
        var h = Math.Clamp((int)Math.Round(targetHeight * scale), 1, height);
        return new SourceArea((width - w) / 2, (height - h) / 2, w, h);
    }
}
