using System.Globalization;
using System.IO.Compression;
using Microsoft.ML.Data;
using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Scoring;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Benchmarks;

/// <summary>
/// Rows that compare scoring with bare forward passes and with a loop of Predict. The weights are random: their values do not affect the
/// cost.
/// </summary>
internal static class ScoringRows
{
    private const int Rounds = 7;
    private static readonly ImageShape Shape = new(32, 32, 3);

    // The shape of the training rows with a ConvNet.
    private static readonly ImageShape SmallShape = new(28, 28, 1);

    public static IEnumerable<Row> All =>
    [
        new Row("transform-loop", "ConvNet, 28x28x1, BFloat16: Transform / a loop of Predict, images/s", 4, true, ConvNetAgainstPredict,
            NeedsBFloat16: true),
        new Row(
            "transform-loop-bf16", "ResNet-18, 32x32x3, BFloat16: Transform / a loop of Predict, images/s", 3, true,
            () => TransformAgainstPredict(Architecture.ResNet18, Shape, Precision.BFloat16, 256), NeedsBFloat16: true),
        new Row(
            "transform-pixels", "ConvNet, pixel vectors: Transform / bare batched forward, images/s", 0.9, true, TransformAgainstForward),
        new Row("transform-jpeg", "ResNet-18, JPEG: Transform / the slower of decoding and forward, images/s", 0.9, true, TransformJpeg),
        new Row("predict", "ConvNet: median of Predict / bare forward of one image", 1.15, false, PredictAgainstForward),
        new Row("load", "ResNet-18: loading the .zip / reading its entries", 2, false, Load),
    ];

    /// <summary>The bound applies to BFloat16. The table also shows Float32.</summary>
    private static Figure ConvNetAgainstPredict()
    {
        var single = TransformAgainstPredict(Architecture.ConvNet, SmallShape, Precision.Float32, 1024);
        var half = TransformAgainstPredict(Architecture.ConvNet, SmallShape, Precision.BFloat16, 2048);
        return half with { LibTorch = string.Create(CultureInfo.InvariantCulture, $"Float32: {single.Value:0.000}") };
    }

    private static Figure TransformAgainstPredict(Architecture architecture, ImageShape shape, Precision precision, int count)
    {
        var context = new MLContext();
        using var model = Create(context, architecture, precision, shape);
        var rows = Draw(count, shape);
        var view = model.Transform(context.Data.LoadFromEnumerable(rows, PixelRow.Of(shape)));
        using var engine = CreateEngine(context, model, shape);
        var times = Alternation.Time(Rounds, () => Consume(view), () =>
        {
            foreach (var row in rows)
                engine.Predict(row);
        });
        return new Figure(Alternation.MedianRatio(times[1], times[0]), Rate(count, times[0]), Rate(count, times[1]));
    }

    private static Figure TransformAgainstForward()
    {
        var context = new MLContext();
        using var model = Create(context, Architecture.ConvNet, Precision.Float32, Shape);
        using var forward = new BareForward(Architecture.ConvNet, 128);
        var rows = Draw(2048, Shape);
        var view = model.Transform(context.Data.LoadFromEnumerable(rows, PixelRow.Of(Shape)));
        var times = Alternation.Time(2 * Rounds, () => Consume(view), () => forward.Run(rows.Length / 128));
        return new Figure(Alternation.MedianRatio(times[1], times[0]), Rate(rows.Length, times[0]), Rate(rows.Length, times[1]));
    }

    private static Figure TransformJpeg()
    {
        var context = new MLContext();
        using var model = Create(context, Architecture.ResNet18, Precision.Float32, Shape);
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
        using var model = Create(context, Architecture.ConvNet, Precision.Float32, Shape);
        using var engine = CreateEngine(context, model, Shape);
        using var forward = new BareForward(Architecture.ConvNet, 1);
        var row = Draw(1, Shape)[0];
        var times = Alternation.Time(500, () => engine.Predict(row), () => forward.Run(1));
        var (ours, bare) = (times[0].Median(), times[1].Median());
        return new Figure(ours / bare, Milliseconds(ours), Milliseconds(bare));
    }

    private static Figure Load()
    {
        var context = new MLContext();
        using var stream = new MemoryStream();
        using (var model = Create(context, Architecture.ResNet18, Precision.Float32, Shape))
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

    private static FloodedImageClassificationTransformer Create(
        MLContext context, Architecture architecture, Precision precision, ImageShape shape)
    {
        using var generator = new Generator(1);
        return new(context, architecture.Create(shape, 10, generator), new ModelDescription
        {
            Architecture = architecture.Name,
            Shape = shape,
            ScoringPrecision = precision,
            Normalization = new Normalization([.. Enumerable.Repeat(120f, shape.Channels)], [.. Enumerable.Repeat(60f, shape.Channels)]),
            Labels = new LabelKeys(nameof(UInt32), 10, null, null),
            FeatureColumn = nameof(PixelRow.Features),
            ScoreColumn = nameof(Scores.Score),
            PredictedLabelColumn = "PredictedLabel",
            FloodLevel = 0,
            History = new TrainingHistory([], 0, false),
        });
    }

    private static PredictionEngine<PixelRow, Scores> CreateEngine(MLContext context, ITransformer model, ImageShape shape) =>
        context.Model.CreatePredictionEngine<PixelRow, Scores>(
            model, new PredictionEngineOptions { OwnsTransformer = false, InputSchemaDefinition = PixelRow.Of(shape) });

    private static void Consume(IDataView view)
    {
        foreach (var _ in view.GetColumn<VBuffer<float>>(nameof(Scores.Score)))
        {
        }
    }

    private static PixelRow[] Draw(int count, ImageShape shape)
    {
        var random = new Random(1);
        return [.. Enumerable.Range(0, count).Select(_ =>
        {
            var row = new PixelRow { Features = new byte[shape.Length] };
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

        public static SchemaDefinition Of(ImageShape shape)
        {
            var schema = SchemaDefinition.Create(typeof(PixelRow));
            schema[nameof(Features)].ColumnType =
                new VectorDataViewType(NumberDataViewType.Byte, shape.Height, shape.Width, shape.Channels);
            return schema;
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
