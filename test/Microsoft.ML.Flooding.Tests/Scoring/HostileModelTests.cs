using System.IO.Compression;
using System.Text.Json;
using Microsoft.ML.Data;
using Microsoft.ML.Flooding.Images;

namespace Microsoft.ML.Flooding.Tests.Scoring;

/// <summary>A damaged model file gives an exception or exactly the scores of the intact file, never anything else.</summary>
[TestClass]
public sealed class HostileModelTests
{
    // The most memory that loading the small model may allocate, whatever its file claims. The file has 5 KB.
    private const long MostMemory = 64_000_000;

    private static readonly PixelRow[] Rows = PixelRow.Draw(3);
    private readonly MLContext _context = new();

    [TestMethod]
    public void A_model_of_format_1_keeps_loading_and_scoring()
    {
        var expected = JsonSerializer.Deserialize<float[][]>(File.ReadAllText(Path.Combine(Fixtures.Models, "format-1-scores.json")))!;
        var model = _context.Model.Load(Path.Combine(Fixtures.Models, "format-1.zip"), out var schema);
        var rows = Enumerable.Range(0, expected.Length).Select(i => new FixtureRow
        {
            Class = "low",
            Features = [.. Enumerable.Range(0, PixelRow.Length).Select(p => (byte)((i % 3 * 80) + (((p * 7) + (i * 31)) % 96)))],
        });

        var scored = model.Transform(_context.Data.LoadFromEnumerable(rows));
        var scores = scored.GetColumn<float[]>("Score").ToArray();

        for (var i = 0; i < expected.Length; i++)
            OneRowScorer.AssertNear(expected[i], scores[i]);
        Assert.AreEqual("high", scored.GetColumn<string>("Predicted").ElementAt(2));
        Assert.IsNotNull(schema.GetColumnOrNull("Features"));
    }

    [TestMethod]
    [DataRow(Precision.Float32, ScoringEngine.OnnxRuntime)]
    [DataRow(Precision.Float32, ScoringEngine.LibTorch)]
    [DataRow(Precision.BFloat16, ScoringEngine.LibTorch)]
    public void A_loaded_model_scores_the_same_bits(Precision precision, ScoringEngine engine)
    {
        using var model = RandomModel.Create(
            _context, Architecture.ResNet18.WithBaseWidth(4), new ImageShape(8, 8, 3),
            d => d with { ScoringPrecision = precision, ScoringEngine = engine });
        var rows = PixelRow.Draw(100);

        var loaded = Load(Save(model));

        Assert.AreEqual(precision, ((FloodedImageClassificationTransformer)loaded).ScoringPrecision);
        AssertSame(Score(model, rows), Score(loaded, rows));
    }

    [TestMethod]
    public void Another_precision_gives_near_scores_and_is_saved()
    {
        using var model = RandomModel.Create(_context, Architecture.ConvNet.WithBaseWidth(4), new ImageShape(8, 8, 3));
        using var half = model.WithScoringPrecision(Precision.BFloat16);
        var rows = PixelRow.Draw(20);
        var (expected, actual) = (Score(model, rows), Score(half, rows));

        Assert.IsTrue(expected.Zip(actual).All(pair => pair.First.Zip(pair.Second).All(slot => Math.Abs(slot.First - slot.Second) < 0.05)));
        Assert.IsFalse(expected.Zip(actual).All(pair => pair.First.SequenceEqual(pair.Second)), "Not computed in bfloat16.");
        AssertSame(actual, Score(Load(Save(half)), rows));
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => model.WithScoringPrecision((Precision)9));
    }

    [TestMethod]
    public void Every_flipped_byte_and_every_mutation_gives_an_exception_or_the_same_scores()
    {
        using var model = CreateSmall();
        var (file, expected) = (Save(model), Score(model, Rows));
        var entries = Unzip(file);
        var random = new Random(Fuzzing.Seed);
        var outcome = new Outcome();
        var watch = System.Diagnostics.Stopwatch.StartNew();

        for (var at = 0; at < file.Length && outcome.Total < Fuzzing.Cases; at++)
        {
            var flipped = (byte[])file.Clone();
            flipped[at] ^= (byte)(1 << random.Next(8));
            Try(flipped, expected, outcome, $"byte {at}");
        }
        var flips = outcome.Total;
        for (var i = 0; outcome.Total < Math.Max(Fuzzing.Cases, flips + (flips / 2)); i++)
        {
            // Damage to the archive usually makes it unreadable. Damage within an entry of a valid archive gets further. The schema entry
            // is excluded: ML.NET's loader can read a damaged one forever, which only the checksums of LoadSafely prevent.
            var damaged = i % 4 == 0 ? Fuzzing.Mutate(file, random) : Zip(Damage(entries, random));
            Try(damaged, expected, outcome, $"case {i} of seed {Fuzzing.Seed}");
        }

        Console.WriteLine(
            $"{watch.Elapsed.TotalMilliseconds / outcome.Total:0.00} ms per case. Seed {Fuzzing.Seed}: {flips} flips of {outcome.Total} "
            + $"cases, {outcome.Refused} refused, {outcome.Unharmed} unharmed. {string.Join(", ", outcome.Kinds)}");
        Assert.IsGreaterThan(outcome.Total / 2, outcome.Refused);
    }

    [TestMethod]
    public void Truncation_anywhere_is_refused()
    {
        using var model = CreateSmall();
        var file = Save(model);
        for (var length = 0; length < file.Length; length += 7)
            Assert.IsTrue(IsRefused(file[..length]), $"{length} of {file.Length} bytes were taken for a model.");
    }

    [TestMethod]
    [DataRow("Model.json")]
    [DataRow("Weights.safetensors")]
    [DataRow("Scoring.onnx")]
    [DataRow("Model.key")]
    public void Missing_swapped_doubled_and_foreign_entries_are_refused(string name)
    {
        using var model = CreateSmall();
        using var other = RandomModel.Create(
            _context, Architecture.Mlp.WithHiddenSizes(7), new ImageShape(8, 8, 3), d => d with { FloodLevel = 0.04f });
        var (entries, foreign) = (Unzip(Save(model)), Unzip(Save(other)));
        var at = entries.FindIndex(entry => Path.GetFileName(entry.Name) == name);
        var second = (at + 1) % entries.Count;
        Assert.IsGreaterThanOrEqualTo(0, at);

        Assert.IsTrue(IsRefused(Zip([.. entries.Where((_, i) => i != at)])), "missing");
        Assert.IsTrue(IsRefused(Zip(With(entries, at, (entries[at].Name, foreign[at].Content)))) || name == "Model.key", "foreign");
        Assert.IsTrue(IsRefused(Zip([.. entries, (entries[at].Name, entries[second].Content)])), "doubled");
        var half = With(entries, at, (entries[at].Name, entries[second].Content));
        Assert.IsTrue(IsRefused(Zip(With(half, second, (entries[second].Name, entries[at].Content)))), "swapped");
        Assert.IsTrue(IsRefused(Zip(With(entries, at, (entries[at].Name, [])))), "empty");
    }

    [TestMethod]
    [DataRow("\"mlp-6\"", "\"mlp-2000000000-2000000000\"")]
    [DataRow("\"mlp-6\"", "\"convnet-width30000\"")]
    [DataRow("\"mlp-6\"", "\"resnet101\"")]
    [DataRow("\"Height\": 8", "\"Height\": 60000")]
    [DataRow("\"Channels\": 3", "\"Channels\": 1000")]
    [DataRow("\"Count\": 5", "\"Count\": 2000000000")]
    [DataRow("\"Float32\"", "\"Float8\"")]
    [DataRow("\"Float32\"", "7")]
    [DataRow("\"Throw\"", "null")]
    [DataRow("\"Features\"", "\"\"")]
    [DataRow("\"MaxPixels\": 100000000", "\"MaxPixels\": -1")]
    public void Descriptions_that_lie_are_refused_even_with_a_good_seal_before_memory_is_taken(string truth, string lie)
    {
        using var model = CreateSmall();
        var entries = Unzip(Save(model));
        var json = entries.FindIndex(entry => Path.GetFileName(entry.Name) == "Model.json");
        var key = entries.FindIndex(entry => Path.GetFileName(entry.Name) == "Model.key");
        var text = System.Text.Encoding.UTF8.GetString(entries[json].Content);
        StringAssert.Contains(text, truth, StringComparison.Ordinal);
        var lying = System.Text.Encoding.UTF8.GetBytes(text.Replace(truth, lie, StringComparison.Ordinal));
        var sealedKey = Replace(entries[key].Content, Seal(entries[json].Content), Seal(lying));

        var file = Zip(With(With(entries, json, (entries[json].Name, lying)), key, (entries[key].Name, sealedKey)));
        var before = Environment.WorkingSet;
        var error = Assert.Throws<Exception>(() => Load(file));

        Assert.IsInstanceOfType<FormatException>(Deepest<FormatException>(error), error.ToString());
        Assert.IsLessThan(MostMemory * 4, Environment.WorkingSet - before);
    }

    private static Exception Deepest<T>(Exception error)
    {
        for (var e = error; e is not null; e = e.InnerException)
            if (e is T)
                return e;
        return error;
    }

    private static byte[] Seal(byte[] content) =>
        [.. BitConverter.GetBytes((long)content.Length), .. System.Security.Cryptography.SHA256.HashData(content)];

    private static byte[] Replace(byte[] bytes, byte[] part, byte[] by)
    {
        var at = bytes.AsSpan().IndexOf(part);
        Assert.IsGreaterThanOrEqualTo(0, at, "The header has no such seal.");
        return [.. bytes[..at], .. by, .. bytes[(at + part.Length)..]];
    }

    private void Try(byte[] file, float[][] expected, Outcome outcome, string what)
    {
        outcome.Total++;
        var before = GC.GetAllocatedBytesForCurrentThread();
        try
        {
            using var stream = new MemoryStream(file);
            var model = _context.Model.LoadSafely(stream, out var _);
            AssertSame(expected, Score(model, Rows));
            (model as IDisposable)?.Dispose();
            outcome.Unharmed++;
        }
        catch (Exception e) when (e is not UnitTestAssertException)
        {
            Assert.IsNotInstanceOfType<OutOfMemoryException>(e, what);
            Assert.IsNotInstanceOfType<NullReferenceException>(e, what);
            outcome.Refused++;
            outcome.Kinds.Add(e.GetType().Name);
        }
        Assert.IsLessThan(MostMemory, GC.GetAllocatedBytesForCurrentThread() - before, what);
    }

    [TestMethod]
    public void LoadSafely_loads_what_is_whole_and_refuses_doubled_entries()
    {
        using var model = CreateSmall();
        var file = Save(model);
        var entries = Unzip(file);
        var path = Path.GetTempFileName();
        try
        {
            File.WriteAllBytes(path, Zip([.. entries, entries[0]]));
            Assert.ThrowsExactly<InvalidDataException>(() => _context.Model.LoadSafely(path, out var _));
            File.WriteAllBytes(path, file);
            Assert.IsNotNull(_context.Model.LoadSafely(path, out var schema));
            Assert.IsNotNull(schema);
        }
        finally
        {
            File.Delete(path);
        }
    }

    private bool IsRefused(byte[] file)
    {
        try
        {
            Load(file);
            return false;
        }
        catch (Exception e) when (e is not UnitTestAssertException)
        {
            return true;
        }
    }

    private static (string Name, byte[] Content)[] Damage(List<(string Name, byte[] Content)> entries, Random random)
    {
        var damaged = entries.ToArray();
        int at;
        do
            at = random.Next(damaged.Length);
        while (damaged[at].Name == "Schema");
        damaged[at].Content = Fuzzing.Mutate(damaged[at].Content, random);
        return damaged;
    }

    private static (string Name, byte[] Content)[] With(IEnumerable<(string Name, byte[] Content)> entries, int at, (string, byte[]) entry)
    {
        var changed = entries.ToArray();
        changed[at] = entry;
        return changed;
    }

    private FloodedImageClassificationTransformer CreateSmall() =>
        RandomModel.Create(_context, Architecture.Mlp.WithHiddenSizes(6), new ImageShape(8, 8, 3));

    private byte[] Save(ITransformer model)
    {
        using var stream = new MemoryStream();
        _context.Model.Save(model, _context.Data.LoadFromEnumerable(Rows).Schema, stream);
        return stream.ToArray();
    }

    private ITransformer Load(byte[] file)
    {
        using var stream = new MemoryStream(file);
        return _context.Model.Load(stream, out var _);
    }

    private float[][] Score(ITransformer model, PixelRow[] rows) =>
        [.. model.Transform(_context.Data.LoadFromEnumerable(rows)).GetColumn<float[]>("Score")];

    private static void AssertSame(float[][] expected, float[][] actual)
    {
        Assert.AreEqual(expected.Length, actual.Length);
        for (var i = 0; i < expected.Length; i++)
            CollectionAssert.AreEqual(expected[i], actual[i]);
    }

    private static List<(string Name, byte[] Content)> Unzip(byte[] file)
    {
        using var archive = new ZipArchive(new MemoryStream(file));
        return [.. archive.Entries.Select(entry =>
        {
            using var content = new MemoryStream();
            using var stream = entry.Open();
            stream.CopyTo(content);
            return (entry.FullName, content.ToArray());
        })];
    }

    private static byte[] Zip(IEnumerable<(string Name, byte[] Content)> entries)
    {
        using var stream = new MemoryStream();
        using (var archive = new ZipArchive(stream, ZipArchiveMode.Create, leaveOpen: true))
        {
            foreach (var (name, content) in entries)
            {
                using var entry = archive.CreateEntry(name, CompressionLevel.NoCompression).Open();
                entry.Write(content);
            }
        }
        return stream.ToArray();
    }

    private sealed class Outcome
    {
        public int Total { get; set; }

        public int Refused { get; set; }

        public int Unharmed { get; set; }

        public SortedSet<string> Kinds { get; } = [];
    }

    public sealed class FixtureRow
    {
        [VectorType(8, 8, 3)]
        public byte[] Features { get; set; } = [];

        public string Class { get; set; } = "";
    }
}
