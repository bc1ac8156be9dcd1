using System.Globalization;
using System.IO.Compression;
using Microsoft.ML.Data;
using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Networks;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Benchmarks;

/// <summary>
/// Rows that compare scoring in libtorch with bare forward passes. `bench serving` compares it with other programs. The weights are random:
/// their values do not affect the cost.
/// </summary>
internal static class ScoringRows
{
    private const int Rounds = 7;
    private static readonly ImageShape Shape = new(32, 32, 3);

    public static IEnumerable<Row> All =>
    [
        new Row(
            "transform-pixels", "ConvNet, pixel vectors: Transform / bare batched forward, images/s", 0.9, true, TransformAgainstForward),
        new Row("transform-jpeg", "ResNet-18, JPEG: Transform / the slower of decoding and forward, images/s", 0.9, true, TransformJpeg),
        new Row("predict", "ConvNet: median of Predict / bare forward of one image", 1.15, false, PredictAgainstForward),
        new Row("load", "ResNet-18: loading the .zip / reading its entries", 2, false, Load),
    ];

    private static Figure TransformAgainstForward()
    {
        var context = new MLContext();
        using var model = Create(context, Architecture.ConvNet, ScoringEngine.LibTorch);
        using var forward = new BareForward(Architecture.ConvNet, 128);
        var rows = Draw(2048);
        var view = model.Transform(context.Data.LoadFromEnumerable(rows, PixelRow.Schema));
        var times = Alternation.Time(2 * Rounds, () => Consume(view), () => forward.Run(rows.Length / 128));
        return new Figure(Alternation.MedianRatio(times[1], times[0]), Rate(rows.Length, times[0]), Rate(rows.Length, times[1]));
    }

    private static Figure TransformJpeg()
    {
        var context = new MLContext();
        using var model = Create(context, Architecture.ResNet18, ScoringEngine.LibTorch);
        using var forward = new BareForward(Architecture.ResNet18, 128);
        var files = Drawings.Jpeg(512, Shape.Width).Select(file => new EncodedRow { Features = file }).ToArray();
        var view = model.Transform(context.Data.LoadFromEnumerable(files));
        var times = Alternation.Time(Rounds, () => Consume(view), () => forward.Run(files.Length / 128), Decode);
        var slower = times[1].Zip(times[2], Math.Max).ToArray();
        return new Figure(
            Alternation.MedianRatio(slower, times[0]),
            Rate(files.Length, times[0]), Rate(files.Length, slower), Rate(files.Length, times[1]));

        void Decode() => Parallel.ForEach(files, () => new byte[Shape.Length], (file, _, pixels) =>
        {
            if (!EncodedImage.TryDecode(file.Features, Shape, null, ImageColumn.DefaultMaxPixels, pixels, out var problem))
                throw new InvalidOperationException(problem);
            return pixels;
        }, _ => { });
    }

    private static Figure PredictAgainstForward()
    {
        var context = new MLContext();
        using var model = Create(context, Architecture.ConvNet, ScoringEngine.LibTorch);
        using var engine = CreateEngine(context, model);
        using var forward = new BareForward(Architecture.ConvNet, 1);
        var row = Draw(1)[0];
        var times = Alternation.Time(500, () => engine.Predict(row), () => forward.Run(1));
        var (ours, bare) = (times[0].Median(), times[1].Median());
        return new Figure(ours / bare, Milliseconds(ours), Milliseconds(bare));
    }

    private static Figure Load()
    {
        var context = new MLContext();
        using var stream = new MemoryStream();
        using (var model = Create(context, Architecture.ResNet18, ScoringEngine.Auto))
            context.Model.Save(model, null, stream);
        var times = Alternation.Time(Rounds, new Contender(LoadModel, Collect), new Contender(ReadEntries, Collect));
        return new Figure(Alternation.MedianRatio(times[0], times[1]), Milliseconds(times[0].Median()), Milliseconds(times[1].Median()));

        // Collects the fifty megabytes of garbage of the previous action, so that the next one does not pay for it.
        static IDisposable? Collect()
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
            return null;
        }

        void LoadModel()
        {
            stream.Position = 0;
            ((IDisposable)context.Model.Load(stream, out _)).Dispose();
        }

        void ReadEntries()
        {
            using var archive = new ZipArchive(stream, ZipArchiveMode.Read, leaveOpen: true);
            foreach (var entry in archive.Entries)
            {
                using var content = entry.Open();
                content.ReadExactly(new byte[entry.Length]);
            }
        }
    }

    private static FloodedImageClassificationTransformer Create(MLContext context, Architecture architecture, ScoringEngine engine) =>
        ServingTable.CreateModel(context, architecture, Shape, 10, engine);

    private static PredictionEngine<PixelRow, Scores> CreateEngine(MLContext context, ITransformer model) =>
        context.Model.CreatePredictionEngine<PixelRow, Scores>(
            model, new PredictionEngineOptions { OwnsTransformer = false, InputSchemaDefinition = PixelRow.Schema });

    private static void Consume(IDataView view)
    {
        foreach (var _ in view.GetColumn<VBuffer<float>>(nameof(Scores.Score)))
        {
        }
    }

    private static PixelRow[] Draw(int count)
    {
        var random = new Random(1);
        return [.. Enumerable.Range(0, count).Select(_ =>
        {
            var row = new PixelRow { Features = new byte[Shape.Length] };
            random.NextBytes(row.Features);
            return row;
        })];
    }

    private static string Rate(int images, double[] seconds) =>
        string.Create(CultureInfo.InvariantCulture, $"{images / seconds.Median():N0} images/s");

    private static string Milliseconds(double seconds) => string.Create(CultureInfo.InvariantCulture, $"{seconds * 1000:0.000} ms");

    /// <summary>Runs the inference plan on a ready tensor: the lowest possible cost of scoring.</summary>
    private sealed class BareForward : IDisposable
    {
        private readonly InferencePlan _plan;
        private readonly Tensor _images;

        public BareForward(Architecture architecture, int batchSize)
        {
            using var generator = new Generator(1);
            using var network = architecture.Create(Shape, 10, generator);
            _plan = InferencePlanBuilder.Build(network, CPU, ScalarType.Float32);
            _images = randn([batchSize, Shape.Height, Shape.Width, Shape.Channels]);
        }

        public void Run(int batches)
        {
            using var _ = no_grad();
            for (var i = 0; i < batches; i++)
            {
                using var scope = NewDisposeScope();
                _plan.Run(_images.permute(0, 3, 1, 2));
            }
        }

        public void Dispose()
        {
            _plan.Dispose();
            _images.Dispose();
        }
    }

    private sealed class PixelRow
    {
        public byte[] Features { get; set; } = [];

        public static SchemaDefinition Schema
        {
            get
            {
                var schema = SchemaDefinition.Create(typeof(PixelRow));
                schema[nameof(Features)].ColumnType =
                    new VectorDataViewType(NumberDataViewType.Byte, Shape.Height, Shape.Width, Shape.Channels);
                return schema;
            }
        }
    }

    private sealed class EncodedRow
    {
        public byte[] Features { get; set; } = [];
    }

    private sealed class Scores
    {
        public float[] Score { get; set; } = [];
    }
}
