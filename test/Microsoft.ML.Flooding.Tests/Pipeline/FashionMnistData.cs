using System.Collections.Concurrent;
using System.IO.Compression;
using Microsoft.ML.Data;

namespace Microsoft.ML.Flooding.Tests.Pipeline;

/// <summary>Rows of Fashion-MNIST, for pipelines.</summary>
internal static class FashionMnistData
{
    private static readonly string[] Names =
        ["T-shirt", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Boot"];

    private static readonly ConcurrentDictionary<string, byte[]> Files = [];

    public static IDataView Train(MLContext context, int count = 512) => Load(context, "train", count);

    public static IDataView Test(MLContext context, int count = 256) => Load(context, "t10k", count);

    public static IReadOnlyList<Row> Rows(string part, int count)
    {
        var images = Read($"{part}-images-idx3-ubyte.gz");
        var labels = Read($"{part}-labels-idx1-ubyte.gz");
        return [.. Enumerable.Range(0, count).Select(i => new Row
        {
            Features = Array.ConvertAll(images[(16 + i * 784)..(16 + (i + 1) * 784)], b => (float)b),
            Class = Names[labels[8 + i]],
            Id = i,
        })];
    }

    private static IDataView Load(MLContext context, string part, int count)
    {
        var rows = context.Data.LoadFromEnumerable(Rows(part, count));
        var keys = context.Data.LoadFromEnumerable(Names.Select(n => new Row { Class = n }));
        return context.Transforms.Conversion.MapValueToKey(
            "Label", nameof(Row.Class), keyData: context.Transforms.SelectColumns(nameof(Row.Class)).Fit(keys).Transform(keys))
            .Fit(rows).Transform(rows);
    }

    private static byte[] Read(string file) => Files.GetOrAdd(file, static name =>
    {
        using var stream = new GZipStream(File.OpenRead(Path.Combine(Fixtures.FashionMnist, name)), CompressionMode.Decompress);
        using var memory = new MemoryStream();
        stream.CopyTo(memory);
        return memory.ToArray();
    });

    public sealed class Row
    {
        [VectorType(784)]
        public float[] Features { get; set; } = new float[784];

        public string Class { get; set; } = "";

        public int Id { get; set; }
    }

    public sealed class Prediction
    {
        public float[] Score { get; set; } = [];

        public string Predicted { get; set; } = "";
    }
}
