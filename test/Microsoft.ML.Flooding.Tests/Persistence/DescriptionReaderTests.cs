using System.IO.Compression;
using System.Reflection;
using System.Text.Json;
using System.Text.Json.Nodes;
using System.Text.Json.Serialization;
using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Persistence;
using Microsoft.ML.Flooding.Scoring;

namespace Microsoft.ML.Flooding.Tests.Persistence;

/// <summary>The description of a model is written by the serializer and read by hand.</summary>
[TestClass]
public sealed class DescriptionReaderTests
{
    private static readonly JsonSerializerOptions Json = new()
    {
        Converters = { new JsonStringEnumConverter() },
        NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
    };

    private static readonly EpochMetrics Epoch = new()
    {
        Epoch = 3,
        TrainingLoss = 0.1,
        LowestBatchLoss = 0.02,
        FloodedShare = 0.25,
        ValidationLoss = double.NaN,
        ValidationAccuracy = 0.75,
        AveragedValidationLoss = double.PositiveInfinity,
        AveragedValidationAccuracy = 0.8,
        ValidationMetric = double.NegativeInfinity,
        AveragedValidationMetric = -1.5e300,
        LearningRate = 0.02,
        GradientNorm = 1e-9,
        ImagesPerSecond = 1234.5,
    };

    private static readonly TrainingHistory History = new([Epoch], selectedEpoch: 3, averagedWeights: true)
    {
        FloodLevel = 0.1f,
        Stopped = true,
        Settings = new Dictionary<string, string> { ["a"] = "b", ["ä\""] = "\n" },
        HeadTrial = new HeadTrial(0.01, 7, 0.9, 0.3) { WrongLabels = 0.2 },
    };

    // No member has its default.
    private static readonly ModelDescription Full = new()
    {
        Architecture = "resnet18",
        Shape = new ImageShape(2, 3, 4),
        CenterCrop = 0.875,
        MaxPixels = 1L << 40,
        OnInvalidImage = OnInvalidImage.Skip,
        ScoringPrecision = Precision.BFloat16,
        ScoringEngine = ScoringEngine.OnnxRuntime,
        Normalization = new Normalization([0.1f, float.MaxValue], [float.Epsilon, 3]),
        Labels = new LabelKeys(nameof(UInt32), 2, "Text", ["cat", "dog"]),
        FeatureColumn = "Image",
        FeatureKind = Enum.GetValues<ImageKind>()[^1],
        ScoreColumn = "S",
        PredictedLabelColumn = "P",
        FloodLevel = 0.03f,
        Temperature = 1.7f,
        PretrainedWeights = new PretrainedWeightsReport(["x"], ["y"], ["z"]),
        History = History with { Trials = [new FloodTrial { History = History, Pruned = true, Failure = "nan", SharedEpochs = 5 }] },
    };

    [TestMethod]
    public void Every_member_is_read_as_it_was_written()
    {
        // A new member must be in the example, or this test would not notice that it is not read.
        foreach (var (path, value) in Leaves(JsonNode.Parse(Serialize(Full))!, ""))
            Assert.IsFalse(IsDefault(value) && !path.Contains("Trials[0].History.Trials", StringComparison.Ordinal), $"{path} is {value}");
        Assert.AreEqual(Serialize(Full), Serialize(Read(Serialize(Full))));
    }

    [TestMethod]
    public void Members_that_older_files_lack_have_their_defaults()
    {
        var json = JsonNode.Parse(Serialize(Full))!.AsObject();
        foreach (var name in new[] { "CenterCrop", "MaxPixels", "OnInvalidImage", "ScoringPrecision", "ScoringEngine", "FeatureKind",
            "Temperature", "PretrainedWeights" })
            Assert.IsTrue(json.Remove(name), name);
        foreach (var name in new[] { "FloodLevel", "Stopped", "Settings", "Trials", "HeadTrial" })
            Assert.IsTrue(json["History"]!.AsObject().Remove(name), name);
        var read = Read(json.ToJsonString());
        Assert.AreEqual(ImageColumn.DefaultMaxPixels, read.MaxPixels);
        Assert.AreEqual(1f, read.Temperature);
        Assert.AreEqual(ScoringEngine.Auto, read.ScoringEngine);
        Assert.IsNull(read.CenterCrop);
        Assert.IsEmpty(read.History.Settings);
        Assert.IsEmpty(read.History.Trials);
    }

    [TestMethod]
    [DataRow("Architecture", "null")]
    [DataRow("Architecture", "7")]
    [DataRow("Architecture", "\"\\ud800\"")]
    [DataRow("Shape", "[]")]
    [DataRow("MaxPixels", "1.5")]
    [DataRow("MaxPixels", "1e30")]
    [DataRow("OnInvalidImage", "1")]
    [DataRow("OnInvalidImage", "\"Nothing\"")]
    [DataRow("FloodLevel", "\"0.03\"")]
    [DataRow("FloodLevel", "true")]
    [DataRow("CenterCrop", "[1]")]
    [DataRow("History", "null")]
    public void A_wrong_value_is_an_error_that_names_the_member(string member, string value)
    {
        var json = JsonNode.Parse(Serialize(Full))!.AsObject();
        var text = json.ToJsonString().Replace(
            $"\"{member}\":{json[member]!.ToJsonString()}", $"\"{member}\":{value}", StringComparison.Ordinal);
        var error = Assert.ThrowsExactly<InvalidDataException>(() => Read(text));
        if (member is not ("Shape" or "History"))
            StringAssert.Contains(error.Message, $"'{member}'");
    }

    [TestMethod]
    public void A_missing_member_is_an_error_that_names_it()
    {
        var json = JsonNode.Parse(Serialize(Full))!.AsObject();
        json["History"]!["Epochs"]![0]!.AsObject().Remove("GradientNorm");
        StringAssert.Contains(
            Assert.ThrowsExactly<InvalidDataException>(() => Read(json.ToJsonString())).Message, "lacks the member 'GradientNorm'");
    }

    [TestMethod]
    public void ML_NET_keeps_the_entries_of_an_archive_where_loading_reads_them()
    {
        var reader = typeof(ITransformer).Assembly.GetType("Microsoft.ML.RepositoryReader", throwOnError: true)!;
        var field = reader.GetField("_entries", BindingFlags.Instance | BindingFlags.NonPublic);
        Assert.AreEqual(typeof(Dictionary<string, ZipArchiveEntry>), field?.FieldType);
    }

    private static string Serialize(ModelDescription description) => JsonSerializer.Serialize(description, Json);

    private static ModelDescription Read(string json) => DescriptionReader.Read(new MemoryStream(System.Text.Encoding.UTF8.GetBytes(json)));

    private static bool IsDefault(JsonNode? value) =>
        value is null || value.ToJsonString() is "0" or "false" or "\"\"" or "[]" or "{}" or "\"Auto\"" or "\"Float32\"" or "1";

    private static IEnumerable<(string Path, JsonNode? Value)> Leaves(JsonNode node, string path) => node switch
    {
        JsonObject { Count: > 0 } members => members.SelectMany(m => m.Value is null ? [($"{path}.{m.Key}", null)]
            : Leaves(m.Value, $"{path}.{m.Key}")),
        JsonArray { Count: > 0 } items => items.Index().SelectMany(i => Leaves(i.Item!, $"{path}[{i.Index}]")),
        _ => [(path, node)],
    };
}
