using System.CommandLine;
using System.Globalization;
using System.Text.Json;
using Microsoft.ML.Data;
using Mlflood.Data;
using Mlflood.Terminal;

namespace Mlflood.Verbs;

internal static class PredictVerb
{
    /// <summary>Files that are read and scored together.</summary>
    private const int BatchSize = 64;

    private const string Unreadable = "the image cannot be read: it is damaged, or its format is not supported.";

    private static readonly string[] Extensions =
        [".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".heic", ".heif", ".avif", ".tif", ".tiff"];

    public static Command Create()
    {
        var model = ModelFile.Argument();
        var files = new Argument<string[]>("FILES")
        {
            Description = "Image files, folders of images, or - for paths on standard input, one a line.",
            Arity = ArgumentArity.OneOrMore,
        };
        var top = new Option<int>("--top")
        {
            Description = "How many of the most probable classes to show.",
            HelpName = "N",
            DefaultValueFactory = _ => 1,
        };
        top.Validators.Add(result =>
        {
            if (result.Tokens is [var token] && int.TryParse(token.Value, CultureInfo.InvariantCulture, out var n) && n < 1)
                result.AddError($"--top is {n}. Give a whole number of at least 1.");
        });
        var json = new Option<bool>("--json") { Description = "Write a JSON object a line: file, and predictions or error." };
        var command = new Command("predict", "Predicts the classes of images, a line for each.") { model, files, top, json };
        command.SetAction(result => Run(
            result.GetRequiredValue(model), result.GetRequiredValue(files), result.GetValue(top), result.GetValue(json)));
        return HelpWithExamples.WithExamples(
            command,
            "mlflood predict pets.zip cat.jpg dog.jpg --top 3",
            "mlflood predict pets.zip new-photos --json > predictions.jsonl",
            "find . -name '*.jpg' | mlflood predict pets.zip -");
    }

    private static int Run(FileInfo model, string[] files, int top, bool isJson)
    {
        using var file = ModelFile.Load(new MLContext(), model);
        var scorer = new Scorer(file);
        var code = ExitCode.Done;
        foreach (var batch in files.SelectMany(Expand).Chunk(BatchSize))
        {
            foreach (var (path, scores, error) in scorer.Score(batch))
            {
                if (error is not null)
                    code = ExitCode.Failed;
                Write(path, scores, error, file.Classifier.Labels, top, isJson);
            }
        }
        return code;
    }

    private static IEnumerable<string> Expand(string argument)
    {
        if (argument == "-")
        {
            while (Console.In.ReadLine() is { } line)
            {
                if (line.Length > 0)
                    yield return line;
            }
            yield break;
        }
        if (!Directory.Exists(argument))
        {
            yield return argument;
            yield break;
        }
        foreach (var file in Directory.EnumerateFiles(argument, "*", new EnumerationOptions { RecurseSubdirectories = true })
            .Where(file => Extensions.Contains(Path.GetExtension(file), StringComparer.OrdinalIgnoreCase)).Order(StringComparer.Ordinal))
        {
            yield return file;
        }
    }

    private static void Write(string path, float[]? scores, string? error, IReadOnlyList<string> labels, int top, bool isJson)
    {
        var predictions = scores?.Zip(labels).OrderByDescending(pair => pair.First).Take(top).ToArray();
        if (isJson)
        {
            object line = error is null
                ? new { file = path, predictions = predictions!.Select(p => new { label = p.Second, probability = p.First }) }
                : new { file = path, error };
            Console.Out.WriteLine(JsonSerializer.Serialize(line));
            return;
        }
        if (error is not null)
            Screen.WriteError($"{path}: {error}");
        else
            Console.Out.WriteLine($"{path}: {string.Join(", ", predictions!.Select(p => string.Create(
                CultureInfo.InvariantCulture, $"{p.Second} {p.First * 100:0.0} %")))}");
    }

    /// <summary>Scores files together, and one by one if one of them is not an image.</summary>
    private sealed class Scorer(ModelFile model)
    {
        private readonly MLContext _context = new();

        public IEnumerable<(string Path, float[]? Scores, string? Error)> Score(string[] paths)
        {
            var read = paths.Select(path => (Path: path, Content: Read(path, out var error), Error: error)).ToArray();
            var good = read.Where(file => file.Content is not null).Select(file => file.Content!).ToArray();
            float[][]? scores = null;
            try
            {
                scores = Scores(good);
            }
            catch (InvalidOperationException) when (good.Length > 0)
            {
                // An image that cannot be read stops the batch.
            }
            var next = 0;
            foreach (var file in read)
            {
                if (file.Content is null)
                    yield return (file.Path, null, file.Error);
                else
                    yield return scores is null ? ScoreOne(file.Path, file.Content) : Checked(file.Path, scores[next++]);
            }
        }

        private static byte[]? Read(string path, out string? error)
        {
            error = null;
            try
            {
                return File.ReadAllBytes(path);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                error = e.Message;
                return null;
            }
        }

        private (string, float[]?, string?) ScoreOne(string path, byte[] content)
        {
            try
            {
                return Checked(path, Scores([content])[0]);
            }
            catch (InvalidOperationException)
            {
                return (path, null, Unreadable);
            }
        }

        private static (string, float[]?, string?) Checked(string path, float[] scores) =>
            float.IsNaN(scores[0]) ? (path, null, Unreadable) : (path, scores, null);

        private float[][] Scores(byte[][] contents)
        {
            var schema = SchemaDefinition.Create(typeof(EncodedImage));
            schema[nameof(EncodedImage.File)].ColumnName = model.Classifier.FeatureColumnName;
            var view = _context.Data.LoadFromEnumerable(contents.Select(content => new EncodedImage { File = content }), schema);
            return [.. model.Classifier.Transform(view).GetColumn<float[]>(model.Columns.Score)];
        }
    }
}
