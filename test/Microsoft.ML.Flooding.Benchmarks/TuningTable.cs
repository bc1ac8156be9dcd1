using System.Diagnostics;
using System.Globalization;
using Common;
using Microsoft.ML.Data;
using Microsoft.ML.Flooding.Benchmarks.Photos;
using Microsoft.ML.Flooding.Images;

namespace Microsoft.ML.Flooding.Benchmarks;

/// <summary>
/// `bench tuning`: what fine-tuning on photos takes, beside what a user would do instead. Each figure is the median of processes of this
/// executable.
/// </summary>
internal static class TuningTable
{
    /// <summary>The first argument of the processes.</summary>
    public const string Verb = "tuning-process";

    private const int Rounds = 3;
    private const int Side = 224;
    private const int Batch = 16;
    private const int Epochs = 2;
    private const int LargePhotos = 32;
    private const int SmallPhotos = 128;
    private const int SmallSide = 512;
    private const string Ours = "ours";
    private const string Theirs = "theirs";

    private static readonly Piece[] Pieces =
    [
        new(
            "read", $"Read {LargePhotos} photos of 4032 x 3024 as {Side} x {Side}", "ML.NET: LoadImages, ResizeImages, ExtractPixels", true,
            ReadPhotos, ReadWithImages),
        new(
            "features", $"Features of {SmallPhotos} photos of {SmallSide} x {SmallSide}, frozen ResNet-18", "ML.NET: DnnFeaturizeImage",
            false, Freeze, Featurize),
        new(
            "epoch", $"An epoch of fine-tuning, ResNet-18, {Batch * Epochs} images, batches of {Batch}", "bare loop of libtorch", false,
            _ => Epoch(work => work.Ours(Precision.Float32)), _ => Epoch(work => work.Bare(Precision.Float32))),
        new(
            "fit", $"Fit on {SmallPhotos} photos with the defaults for pretrained weights, and score them",
            "ML.NET: DnnFeaturizeImage + LbfgsMaximumEntropy", false, photos => Fit("frozen", photos), photos => Fit("lbfgs", photos)),
    ];

    /// <summary>Writes the table as Markdown, each row as soon as it is measured.</summary>
    /// <param name="output">Where to write.</param>
    /// <param name="names">The rows; empty for all.</param>
    public static void Print(TextWriter output, string[] names)
    {
        using var large = new PhotoFolder(Drawings.Photos(LargePhotos));
        using var small = new PhotoFolder(Drawings.Jpeg(SmallPhotos, SmallSide));
        output.WriteLine(Machine.Description);
        output.WriteLine();
        output.WriteLine("| Work | Ours, s | Peak memory, MB | Instead | s | Peak memory, MB | Ours / instead |");
        output.WriteLine("|---|---:|---:|---|---:|---:|---:|");
        foreach (var piece in Pieces.Where(piece => names.Length == 0 || names.Contains(piece.Name)))
        {
            var folder = piece.NeedsLargePhotos ? large : small;
            List<double[]> ours = [], theirs = [];
            for (var round = 0; round < Rounds; round++)
            {
                ours.Add(OwnProcess.Run(Verb, piece.Name, Ours, folder.Path));
                theirs.Add(OwnProcess.Run(Verb, piece.Name, Theirs, folder.Path));
            }
            var ratio = Alternation.MedianRatio([.. ours.Select(f => f[0])], [.. theirs.Select(f => f[0])]);
            output.WriteLine(string.Create(
                CultureInfo.InvariantCulture,
                $"| {piece.Work} | {Cells(ours)} | {piece.Instead} | {Cells(theirs)} | {ratio:0.00} |"));
        }

        static string Cells(List<double[]> figures) => string.Create(
            CultureInfo.InvariantCulture, $"{figures.Select(f => f[0]).Median():0.0} | {figures.Select(f => f[1]).Median() / 1e6:N0}");
    }

    /// <summary>Does the work of one process, and writes its figures: seconds and bytes.</summary>
    public static void Work(string[] arguments)
    {
        var piece = Pieces.Single(piece => piece.Name == arguments[0]);
        var photos = Directory.GetFiles(arguments[2]).Order(StringComparer.Ordinal)
            .Select((path, i) => new ImageFile { ImagePath = path, Label = $"{i % 2}" }).ToArray();
        OwnProcess.Write((arguments[1] == Ours ? piece.Ours : piece.Theirs)(photos), ResidentMemory.Peak());
    }

    private static double ReadPhotos(ImageFile[] photos)
    {
        var context = new MLContext();
        return Time(() =>
        {
            var data = Labeled(context, photos);
            var column = ImageColumn.Create(data.Schema["Image"], Side, Side, data);
            ImageSet.Load(context, data, "Image", "Label", column, new ImageSetOptions(), () => { }).Dispose();
        });
    }

    private static double ReadWithImages(ImageFile[] photos)
    {
        var context = new MLContext();
        return Time(() => Consume(
            context.Transforms.LoadImages("Image", imageFolder: "", nameof(ImageFile.ImagePath))
                .Append(context.Transforms.ResizeImages("Image", Side, Side))
                .Append(context.Transforms.ExtractPixels("Pixels", "Image")),
            context.Data.LoadFromEnumerable(photos), "Pixels"));
    }

    private static double Freeze(ImageFile[] photos)
    {
        var context = new MLContext(seed: 1);
        return Time(() => context.Transforms.FloodedImageClassification(new FloodedImageClassificationTrainer.Options
        {
            Architecture = Architecture.FromDnnImageFeaturizerResNet18(),
            FeatureColumnName = "Image",
            FreezeBackboneEpochs = 1,
            Epochs = 1,
            ValidationSetFraction = null,
        }).Fit(Labeled(context, photos)).Dispose());
    }

    private static double Featurize(ImageFile[] photos)
    {
        var context = new MLContext(seed: 1);
        return Time(() => Consume(PhotoMethod.Featurize(context), context.Data.LoadFromEnumerable(photos), "Features"));
    }

    private static double Epoch(Func<Workload, Contender> choose)
    {
        using var work = Workload.Of(Architecture.ResNet18, new ImageShape(Side, Side, 3), Batch, Epochs);
        var contender = choose(work);
        using var conditions = contender.Prepare?.Invoke();
        return Time(contender.Run);
    }

    private static double Fit(string method, ImageFile[] photos) =>
        PhotoMethod.All.Single(m => m.Name == method).Measure(photos, photos, seed: 1).Seconds;

    private static IDataView Labeled(MLContext context, ImageFile[] photos)
    {
        var data = context.Data.LoadFromEnumerable(photos);
        return context.Transforms.Conversion.MapValueToKey("Label", nameof(ImageFile.Label))
            .Append(context.Transforms.LoadRawImageBytes("Image", imageFolder: "", nameof(ImageFile.ImagePath))).Fit(data).Transform(data);
    }

    private static void Consume<T>(IEstimator<T> pipeline, IDataView data, string column) where T : class, ITransformer
    {
        foreach (var _ in pipeline.Fit(data).Transform(data).GetColumn<VBuffer<float>>(column))
        {
        }
    }

    private static double Time(Action action)
    {
        var start = Stopwatch.GetTimestamp();
        action();
        return Stopwatch.GetElapsedTime(start).TotalSeconds;
    }

    /// <summary>A row: the work done with this library and instead of it. Both return seconds.</summary>
    private sealed record Piece(
        string Name, string Work, string Instead, bool NeedsLargePhotos, Func<ImageFile[], double> Ours, Func<ImageFile[], double> Theirs);

    private sealed class PhotoFolder : IDisposable
    {
        private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("flooding-bench-");

        public PhotoFolder(IEnumerable<byte[]> files)
        {
            foreach (var (i, file) in files.Index())
                File.WriteAllBytes(System.IO.Path.Combine(Path, $"{i:00000}.jpg"), file);
        }

        public string Path => _folder.FullName;

        public void Dispose() => _folder.Delete(recursive: true);
    }
}
