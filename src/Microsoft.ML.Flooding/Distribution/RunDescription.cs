using System.Reflection;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.Json.Serialization.Metadata;
using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Training;

namespace Microsoft.ML.Flooding.Distribution;

/// <summary>The scalars of a run that another process trains. <see cref="RunFile"/> holds them with the tensors.</summary>
/// <param name="Name">As <see cref="RunRequest.Name"/>.</param>
/// <param name="Options">The options that decide what is trained.</param>
/// <param name="Architecture">The name of the architecture.</param>
/// <param name="Classes">The number of classes.</param>
/// <param name="Normalization">From pixels to the network's input.</param>
/// <param name="Seed">The seed of everything random.</param>
/// <param name="Identity">The <see cref="RunIdentity"/>, which the other process has to find too.</param>
/// <param name="Pixels">The images of the training rows.</param>
/// <param name="ValidationPixels">The images of the validation rows; null without validation.</param>
/// <param name="BranchLevels">The levels of <see cref="Branching"/>; empty without branches.</param>
/// <param name="EndsWithBranches">As <see cref="Branching.EndsRun"/>.</param>
internal sealed record RunDescription(
    string Name, TrainingOptions Options, string Architecture, int Classes, Normalization Normalization, long Seed,
    IReadOnlyDictionary<string, string> Identity, PixelFile Pixels, PixelFile? ValidationPixels, IReadOnlyList<float> BranchLevels,
    bool EndsWithBranches)
{
    /// <summary>The version of the library. Only a process of the same version trains a run.</summary>
    public static string Version { get; } =
        typeof(RunDescription).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()!.InformationalVersion;

    /// <summary>The options that stay in the process of the Fit or are described elsewhere.</summary>
    private static readonly string[] LeftOut =
    [
        nameof(TrainingOptions.Architecture), nameof(TrainingOptions.PretrainedWeights), nameof(TrainingOptions.FineTuning),
        nameof(TrainingOptions.DataParallel), nameof(TrainingOptions.CheckpointDirectory), nameof(TrainingOptions.MetricsCallback),
        nameof(TrainingOptions.Callbacks), nameof(TrainingOptions.StopToken), nameof(TrainingOptions.Seed),
    ];

    private static readonly JsonSerializerOptions Json = new(SnapshotFile.Json)
    {
        Converters = { new MetricConverter() },
        TypeInfoResolver = new DefaultJsonTypeInfoResolver { Modifiers = { LeaveOut, NameKinds } },
    };

    public string ToJson() => JsonSerializer.Serialize(this, Json);

    /// <exception cref="JsonException">The text is no description.</exception>
    public static RunDescription FromJson(string text) => JsonSerializer.Deserialize<RunDescription>(text, Json)!;

    private static void LeaveOut(JsonTypeInfo type)
    {
        if (type.Type != typeof(TrainingOptions))
            return;
        foreach (var property in type.Properties.Where(p => LeftOut.Contains(p.Name)).ToArray())
            type.Properties.Remove(property);
    }

    /// <summary>Objectives and schedules are records of private types, which their names tell apart.</summary>
    private static void NameKinds(JsonTypeInfo type)
    {
        if (type.Type != typeof(FloodingObjective) && type.Type != typeof(LearningRateSchedule))
            return;
        type.PolymorphismOptions = new JsonPolymorphismOptions();
        foreach (var kind in type.Type.GetNestedTypes(BindingFlags.NonPublic).Where(t => !t.IsAbstract && t.IsAssignableTo(type.Type)))
            type.PolymorphismOptions.DerivedTypes.Add(new JsonDerivedType(kind, kind.Name));
    }

    /// <summary>Writes a built-in metric by its name.</summary>
    private sealed class MetricConverter : JsonConverter<ValidationMetric>
    {
        private static readonly ValidationMetric[] All =
            [ValidationMetric.LogLoss, ValidationMetric.Accuracy, ValidationMetric.AccuracyThenLogLoss];

        public override ValidationMetric Read(ref Utf8JsonReader reader, Type typeToConvert, JsonSerializerOptions options)
        {
            var name = reader.GetString();
            return Array.Find(All, metric => metric.Name == name) ?? throw new JsonException($"There is no metric '{name}'.");
        }

        public override void Write(Utf8JsonWriter writer, ValidationMetric value, JsonSerializerOptions options) =>
            writer.WriteStringValue(value.Name);
    }
}
