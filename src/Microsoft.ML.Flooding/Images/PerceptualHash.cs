using System.Numerics;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Images;

/// <summary>
/// Finds images that look the same, such as copies with another size or compression: the signs of the low frequencies of the gray image
/// (Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010), and a small version of it to confirm them.
/// </summary>
internal static class PerceptualHash
{
    /// <summary>The smallest side of an image that has a hash, in pixels.</summary>
    public const int SmallestSide = 8;

    private const int BatchSize = 1024;
    private const int GraySide = 32;
    private const int Frequencies = 8;

    // Two hashes that differ in at most 3 of 64 bits share at least one of four parts of 16 bits.
    private const int MostDifferentBits = 3;
    private const int Parts = 4;
    private const int PartBits = 16;

    /// <summary>The largest difference of small versions of the same image, of 255.</summary>
    private const int LargestDifference = 12;

    /// <summary>The smallest deviation of a small version, of 255: a hash of a plain area is noise.</summary>
    private const double SmallestDeviation = 4;

    /// <summary>Finds the groups of rows that look the same.</summary>
    /// <param name="set">Images with sides of at least <see cref="SmallestSide"/>; values are from 0 to 255.</param>
    /// <param name="checkAlive">Called regularly; throws to cancel.</param>
    /// <returns>The rows of each group of two or more, ascending.</returns>
    public static IEnumerable<long[]> FindGroups(ImageSet set, Action checkAlive)
    {
        var (hashes, small) = Compute(set, checkAlive);
        var group = new int[hashes.Length];
        for (var row = 0; row < group.Length; row++)
            group[row] = row;
        for (var part = 0; part < Parts; part++)
        {
            var shift = part * PartBits;
            foreach (var bucket in Enumerable.Range(0, hashes.Length).Where(row => small[row].Length > 0)
                .GroupBy(row => (ushort)(hashes[row] >> shift)))
            {
                checkAlive();
                int[] rows = [.. bucket];
                for (var i = 1; i < rows.Length; i++)
                {
                    for (var j = 0; j < i; j++)
                    {
                        if (BitOperations.PopCount(hashes[rows[i]] ^ hashes[rows[j]]) <= MostDifferentBits
                            && IsClose(small[rows[i]], small[rows[j]]))
                            group[Root(rows[i])] = Root(rows[j]);
                    }
                }
            }
        }
        return Enumerable.Range(0, group.Length).GroupBy(Root).Where(rows => rows.Skip(1).Any())
            .Select(rows => rows.Select(row => (long)row).ToArray());

        int Root(int row)
        {
            while (group[row] != row)
                row = group[row] = group[group[row]];
            return row;
        }
    }

    private static bool IsClose(byte[] first, byte[] second)
    {
        for (var i = 0; i < first.Length; i++)
            if (Math.Abs(first[i] - second[i]) > LargestDifference)
                return false;
        return true;
    }

    /// <summary>The hash of each row, and its small version; that is empty if the image is plain.</summary>
    private static (ulong[] Hashes, byte[][] Small) Compute(ImageSet set, Action checkAlive)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var hashes = new ulong[set.Count];
        var small = new byte[set.Count][];
        var cosines = Cosines();
        using var batches = set.Read(arange(set.Count), BatchSize, CPU);
        while (true)
        {
            using var batch = NewDisposeScope();
            if (!batches.MoveNext())
                break;
            checkAlive();
            // [B, H, W, C] to [B, 1, H, W]
            var gray = batches.Current.Pixels.to(ScalarType.Float32).mean([3L]).unsqueeze(1);
            var large = nn.functional.adaptive_avg_pool2d(gray, [GraySide, GraySide]).squeeze(1);
            var spectrum = cosines.matmul(large).matmul(cosines.t()).reshape(-1, Frequencies * Frequencies);
            // The first value is the mean brightness, which differs between copies most.
            var others = spectrum.narrow(1, 1, (Frequencies * Frequencies) - 1);
            // The 32nd of 63 values is the median.
            var signs = others.gt(others.topk(32, 1).values.narrow(1, 31, 1)).data<bool>().ToArray();
            var means = nn.functional.adaptive_avg_pool2d(gray, [Frequencies, Frequencies]).reshape(-1, Frequencies * Frequencies);
            var deviations = means.std(1).data<float>().ToArray();
            var bytes = means.clamp(0, 255).round().to(ScalarType.Byte).data<byte>().ToArray();
            var rows = batches.Current.Rows.data<long>().ToArray();
            for (var i = 0; i < rows.Length; i++)
            {
                var bits = signs.AsSpan(i * 63, 63);
                for (var bit = 0; bit < bits.Length; bit++)
                    hashes[rows[i]] |= bits[bit] ? 1UL << bit : 0;
                small[rows[i]] = deviations[i] >= SmallestDeviation ? bytes[(i * 64)..((i + 1) * 64)] : [];
            }
        }
        return (hashes, small);
    }

    /// <summary>The low frequencies of the discrete cosine transform, [<see cref="Frequencies"/>, <see cref="GraySide"/>].</summary>
    private static Tensor Cosines()
    {
        var values = new float[Frequencies, GraySide];
        for (var frequency = 0; frequency < Frequencies; frequency++)
            for (var place = 0; place < GraySide; place++)
                values[frequency, place] = (float)Math.Cos(Math.PI * (place + 0.5) * frequency / GraySide);
        return tensor(values);
    }
}
