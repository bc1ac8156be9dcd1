using System.Globalization;
using Microsoft.ML.Data;
using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Runtime;
using SkiaSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Benchmarks;

/// <summary>Rows for reading images into a set and for memory use.</summary>
internal static class MemoryRows
{
    private const int Files = 10_000;
    private const int Fits = 20;
    private static readonly Architecture Network = Architecture.Mlp.WithHiddenSizes(16);

    // Small photos, resized to the input size of a small network.
    private const int FileSide = 256;
    private const int Side = 64;

    // Photos of a phone, twelve megapixels each, resized to the input size of a network trained on ImageNet.
    private const int Photos = 32;
    private const int PhotoSide = 224;

    // Half a gigabyte in total, so that the five megabytes of .NET's heap and the decoders are not most of the difference.
    private const int SideInMemory = 128;

    public static IEnumerable<Row> All =>
    [
        new Row("read-jpeg", "Reading 10,000 JPEG files, 256 x 256, into the image set / one after another", 1.8, true, ReadJpeg),
        new Row(
            "read-photos", "Reading 32 JPEG photos, 4032 x 3024, to 224 x 224 / one after another; peak memory", 3, true, ReadPhotos),
        new Row("set-memory", "Peak memory of the image set, 128 x 128, / its raw bytes", 1.05, false, SetMemory),
        new Row(
            "live-tensors", "Live tensors after 20 Fits minus after one (baseline: what TorchSharp counts for 38 networks)", 0, false,
            LiveTensors),
    ];

    private static Figure ReadJpeg()
    {
        using var folder = new JpegFolder(Drawings.Jpeg(Files, FileSide), Files);
        var context = new MLContext();
        var data = folder.Load(context);
        var column = ImageColumn.Create(data.Schema["Image"], Side, Side, data);
        var times = TimeReading(folder, () => Read(context, data, column).Dispose(), column);
        return new Figure(
            Alternation.MedianRatio(times[0], times[1]), PerSecond(Files, times[1]), PerSecond(Files, times[0]),
            PerSecond(Files, times[2]));
    }

    private static Figure ReadPhotos()
    {
        using var folder = new JpegFolder(Drawings.Photos(Photos), Photos);
        var context = new MLContext();
        var data = folder.Load(context);
        var column = ImageColumn.Create(data.Schema["Image"], PhotoSide, PhotoSide, data);

        // Loads code and pools into memory.
        Read(context, context.Data.TakeRows(data, 4), column).Dispose();
        GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        HeapRetention.ForTraining().Dispose();
        var before = ResidentMemory.Now();
        ResidentMemory.ResetPeak();
        Read(context, data, column).Dispose();
        var peak = ResidentMemory.Peak() - before;

        var times = TimeReading(folder, () => Read(context, data, column).Dispose(), column);
        return new Figure(
            Alternation.MedianRatio(times[0], times[1]), $"{PerSecond(Photos, times[1])}, {Megabytes(peak)}", PerSecond(Photos, times[0]),
            PerSecond(Photos, times[2]));
    }

    /// <summary>Times what a user of SkiaSharp writes, the library, and the library's decoder on one core.</summary>
    private static double[][] TimeReading(JpegFolder folder, Action read, ImageColumn column)
    {
        return Alternation.Time(3, ByHand, read, OneAfterAnother);

        void ByHand()
        {
            var pixels = new byte[folder.Paths.Length * column.Shape.Length];
            var next = 0;
            foreach (var path in folder.Paths)
            {
                using var image = SKBitmap.Decode(path);
                var size = new SKImageInfo(column.Shape.Width, column.Shape.Height, SKColorType.Rgba8888);
                using var resized = image.Resize(size, SKFilterQuality.Medium);
                var rgba = resized.GetPixelSpan();
                for (var i = 0; i < rgba.Length; i += 4, next += 3)
                    (pixels[next], pixels[next + 1], pixels[next + 2]) = (rgba[i], rgba[i + 1], rgba[i + 2]);
            }
        }

        // Shows what parallel reading gains.
        void OneAfterAnother()
        {
            var pixels = new byte[column.Shape.Length];
            foreach (var path in folder.Paths)
            {
                var file = File.ReadAllBytes(path);
                if (!EncodedImage.TryDecode(file, column.Shape, null, ImageColumn.DefaultMaxPixels, pixels, out var problem))
                    throw new InvalidOperationException(problem);
            }
        }
    }

    private static Figure SetMemory()
    {
        using var folder = new JpegFolder(Drawings.Jpeg(Files, FileSide), Files);
        var context = new MLContext();
        var data = folder.Load(context);
        var column = ImageColumn.Create(data.Schema["Image"], SideInMemory, SideInMemory, data);

        // Loads code and pools into memory.
        Read(context, context.Data.TakeRows(data, 500), column).Dispose();

        // Both release free memory: the set could take it without an increase of the resident memory.
        GC.Collect(GC.MaxGeneration, GCCollectionMode.Aggressive, blocking: true, compacting: true);
        HeapRetention.ForTraining().Dispose();
        var before = ResidentMemory.Now();
        ResidentMemory.ResetPeak();
        using var set = Read(context, data, column);
        var peak = ResidentMemory.Peak() - before;
        var raw = set.Count * (double)set.Shape.Length;
        return new Figure(peak / raw, Megabytes(peak), Megabytes(raw));
    }

    private static Figure LiveTensors()
    {
        var context = new MLContext(seed: 1);
        var rows = Enumerable.Range(0, 200).Select(i =>
            new Pixels { Features = [.. Enumerable.Range(0, 64).Select(j => (float)((i * j) % 255))], Class = $"{i % 3}" });
        var view = context.Data.LoadFromEnumerable(rows);
        var data = context.Transforms.Conversion.MapValueToKey("Label", nameof(Pixels.Class)).Fit(view).Transform(view);
        Fit();
        var after1 = Tensor.TotalCount;
        for (var i = 1; i < Fits; i++)
            Fit();
        var after20 = Tensor.TotalCount;

        // TorchSharp's counter never subtracts the tensors from which its modules make their parameters: each network that is created and
        // disposed of adds as many as it has parameters. A Fit creates two networks, the trained one and that of the model.
        var before = Tensor.TotalCount;
        for (var i = 1; i < Fits; i++)
            for (var network = 0; network < 2; network++)
                CreateNetwork();
        var counted = Tensor.TotalCount - before;
        return new Figure(after20 - after1 - counted, $"{after20 - after1}", $"{counted}");

        void CreateNetwork()
        {
            using var generator = new Generator(1);
            Network.Create(new ImageShape(8, 8, 1), 3, generator).Dispose();
        }

        void Fit() => context.Transforms.FloodedImageClassification(new FloodedImageClassificationTrainer.Options
        {
            Architecture = Network,
            Epochs = 2,
            EarlyStopping = new EarlyStopping(),
        }).Fit(data).Dispose();
    }

    private static ImageSet Read(MLContext context, IDataView data, ImageColumn column) =>
        ImageSet.Load(context, data, "Image", "Label", column, new ImageSetOptions(), () => { });

    private static string PerSecond(int files, double[] seconds) =>
        string.Create(CultureInfo.InvariantCulture, $"{files / seconds.Median():n0} files/s");

    private static string Megabytes(double bytes) => string.Create(CultureInfo.InvariantCulture, $"{bytes / 1e6:0.0} MB");

    private sealed class Pixels
    {
        [VectorType(64)]
        public float[] Features { get; set; } = [];

        public string Class { get; set; } = "";
    }

    /// <summary>A folder of JPEG files.</summary>
    private sealed class JpegFolder : IDisposable
    {
        private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("flooding-bench-");

        public JpegFolder(IEnumerable<byte[]> files, int count)
        {
            Paths = [.. Enumerable.Range(0, count).Select(i => Path.Combine(_folder.FullName, $"{i:00000}.jpg"))];
            foreach (var (path, file) in Paths.Zip(files))
                File.WriteAllBytes(path, file);
        }

        public string[] Paths { get; }

        public IDataView Load(MLContext context)
        {
            var view = context.Data.LoadFromEnumerable(Paths.Select((p, i) => new ImageFile { Path = p, Class = $"{i % 10}" }));
            return context.Transforms.Conversion.MapValueToKey("Label", nameof(ImageFile.Class))
                .Append(context.Transforms.LoadRawImageBytes("Image", null, nameof(ImageFile.Path))).Fit(view).Transform(view);
        }

        public void Dispose() => _folder.Delete(recursive: true);
    }

    private sealed class ImageFile
    {
        public string Path { get; set; } = "";

        public string Class { get; set; } = "";
    }
}
