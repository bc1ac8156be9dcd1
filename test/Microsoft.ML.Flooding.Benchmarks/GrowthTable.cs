using System.Diagnostics;
using System.Globalization;
using Microsoft.ML.Data;

namespace Microsoft.ML.Flooding.Benchmarks;

/// <summary>
/// `bench growth`: time and peak memory of Fit and of Transform for more and more images, and for more and more classes. Each cell is a
/// process of its own.
/// </summary>
internal static class GrowthTable
{
    /// <summary>The first argument of the processes.</summary>
    public const string Verb = "growth-process";

    private const string Million = "million";
    private const int Side = 28;
    private const int FewClasses = 10;
    private const int ImagesOfClasses = 100_000;
    private static readonly int[] Images = [1_000, 10_000, 100_000];
    private static readonly int[] Classes = [10, 1_000, 10_000];

    /// <summary>Writes the tables as Markdown, each row as soon as it is measured.</summary>
    /// <param name="output">Where to write.</param>
    /// <param name="arguments">`million` adds a row of a million images.</param>
    public static void Print(TextWriter output, string[] arguments)
    {
        int[] images = arguments.Contains(Million) ? [.. Images, 1_000_000] : Images;
        output.WriteLine(Machine.Description);
        output.WriteLine();
        Print(output, "Images, 10 classes", images.Select(count => (count, count, FewClasses)));
        output.WriteLine();
        Print(output, "Classes, 100,000 images", Classes.Select(count => (count, ImagesOfClasses, count)));
    }

    /// <summary>Does the work of one process, and writes its figures: seconds and bytes.</summary>
    public static void Work(string[] arguments)
    {
        var (work, images, classes, path) = (arguments[0], Parse(arguments[1]), Parse(arguments[2]), arguments[3]);
        var context = new MLContext(seed: 1);
        var data = Load(context, images, classes);
        var start = Stopwatch.GetTimestamp();
        if (work == "fit")
        {
            var model = context.Transforms.FloodedImageClassification(new FloodedImageClassificationTrainer.Options
            {
                Architecture = Architecture.Mlp.WithHiddenSizes(128),
                Epochs = 1,
            }).Fit(data);
            var seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
            OwnProcess.Write(seconds, ResidentMemory.Peak());
            context.Model.SaveSafely(model, data.Schema, path);
        }
        else
        {
            var model = context.Model.LoadSafely(path, out _);
            start = Stopwatch.GetTimestamp();
            foreach (var _ in model.Transform(data).GetColumn<VBuffer<float>>("Score"))
            {
            }
            OwnProcess.Write(Stopwatch.GetElapsedTime(start).TotalSeconds, ResidentMemory.Peak());
        }

        static int Parse(string text) => int.Parse(text, CultureInfo.InvariantCulture);
    }

    private static void Print(TextWriter output, string title, IEnumerable<(int Name, int Images, int Classes)> cells)
    {
        output.WriteLine(
            $"| {title} | Fit, s | microseconds an image | Peak memory, MB | Transform, s | microseconds an image | Peak memory, MB |");
        output.WriteLine("|---:|---:|---:|---:|---:|---:|---:|");
        foreach (var (name, images, classes) in cells)
        {
            var path = Path.GetTempFileName();
            var fit = Run("fit");
            var transform = Run("transform");
            File.Delete(path);
            output.WriteLine(string.Create(CultureInfo.InvariantCulture, $"| {name:N0} | {Row(fit)} | {Row(transform)} |"));

            double[] Run(string work) =>
                OwnProcess.Run(Verb, work, $"{images}", $"{classes}", path);

            string Row(double[] figures) => string.Create(
                CultureInfo.InvariantCulture, $"{figures[0]:0.0} | {figures[0] / images * 1e6:N0} | {figures[1] / 1e6:N0}");
        }
    }

    /// <summary>Images that are drawn when they are read, so that the data itself takes no memory.</summary>
    private static IDataView Load(MLContext context, int images, int classes)
    {
        var schema = SchemaDefinition.Create(typeof(Image));
        schema[nameof(Image.Label)].ColumnType = new KeyDataViewType(typeof(uint), classes);
        return context.Data.LoadFromEnumerable(Draw(), schema);

        IEnumerable<Image> Draw()
        {
            var random = new Random(1);
            for (var i = 0; i < images; i++)
            {
                var image = new Image { Label = (uint)(i % classes) };
                random.NextBytes(image.Features);
                yield return image;
            }
        }
    }

    private sealed class Image
    {
        public uint Label { get; set; }

        [VectorType(Side, Side, 1)]
        public byte[] Features { get; set; } = new byte[Side * Side];
    }
}
