using Microsoft.ML.Data;

namespace Microsoft.ML.Flooding.Tests.Scoring;

/// <summary>A row of pixels, 8 x 8 x 3, and other columns.</summary>
public sealed class PixelRow
{
    public const int Length = 8 * 8 * 3;

    public int Id { get; set; }

    [VectorType(8, 8, 3)]
    public byte[] Features { get; set; } = [];

    public string Name { get; set; } = "";

    public static DataViewSchema Schema(MLContext context) => context.Data.LoadFromEnumerable(Draw(1)).Schema;

    public static PixelRow[] Draw(int count, int seed = 1)
    {
        var random = new Random(seed);
        return [.. Enumerable.Range(0, count).Select(i =>
        {
            var row = new PixelRow { Id = i, Name = $"row {i}", Features = new byte[Length] };
            random.NextBytes(row.Features);
            return row;
        })];
    }
}

public sealed class ImagePrediction
{
    public int Id { get; set; }

    public float[] Score { get; set; } = [];

    public uint PredictedLabel { get; set; }
}
