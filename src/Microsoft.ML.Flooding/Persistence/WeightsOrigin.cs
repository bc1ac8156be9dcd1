using System.Text.Json;
using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Networks;
using Microsoft.ML.Flooding.Scoring;

namespace Microsoft.ML.Flooding.Persistence;

/// <summary>How images were prepared for the weights of a safetensors file, in its metadata.</summary>
internal static class WeightsOrigin
{
    private const string Key = "flooding";

    private static readonly JsonSerializerOptions Json = new() { RespectNullableAnnotations = true, RespectRequiredConstructorParameters = true };

    /// <summary>The metadata of the weights of a trained model.</summary>
    public static Dictionary<string, string> Describe(ModelDescription description) => new()
    {
        ["format"] = "pt",
        ["architecture"] = description.Architecture,
        [Key] = JsonSerializer.Serialize(new ImagePreparation(description.Shape, description.CenterCrop, description.Normalization)),
    };

    /// <summary>How images are prepared for the weights of a file: as it says, else as a known file of that name was made, else as public weights of the architecture are; null if none is known.</summary>
    /// <exception cref="InvalidDataException">The file is malformed.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static ImagePreparation? PreparationOf(string path, Architecture architecture) => TensorFile.Read(path, file =>
    {
        if (!file.Metadata.TryGetValue(Key, out var json))
            return (PretrainedModels.Find(path)?.Preprocessing ?? architecture.Preprocessing) is { } known ? ImagePreparation.Of(known) : null;
        try
        {
            var preparation = JsonSerializer.Deserialize<ImagePreparation>(json, Json) ?? throw new InvalidDataException($"Its metadata '{Key}' is empty.");
            ModelDescription.RequirePossible(preparation.Shape, preparation.CenterCrop, preparation.Normalization);
            return preparation;
        }
        catch (JsonException e)
        {
            throw new InvalidDataException($"Its metadata '{Key}' is damaged: {e.Message}", e);
        }
    });
}

/// <summary>How images are brought to the input of a network.</summary>
/// <param name="Shape">Their shape.</param>
/// <param name="CenterCrop"><see cref="ImageColumn.CenterCrop"/>.</param>
/// <param name="Normalization">Of their pixels.</param>
internal sealed record ImagePreparation(ImageShape Shape, double? CenterCrop, Normalization Normalization)
{
    private const float White = 255;

    /// <summary>That of public weights.</summary>
    public static ImagePreparation Of(Preprocessing preprocessing) => new(
        new ImageShape(preprocessing.Crop, preprocessing.Crop, preprocessing.Mean.Length), preprocessing.CenterCrop,
        new Normalization([.. preprocessing.Mean.Select(m => m * White)], [.. preprocessing.Deviation.Select(d => d * White)]));

    /// <summary>For images of another number of channels: a grey image has the mean of the colours, a colour image the grey in each.</summary>
    /// <exception cref="ArgumentException">It is neither the same number nor one of the two.</exception>
    public Normalization NormalizationFor(int channels) => (Normalization.Mean.Length, channels) switch
    {
        var (own, other) when own == other => Normalization,
        (_, 1) => new Normalization([Normalization.Mean.Average()], [Normalization.Deviation.Average()]),
        (1, _) => new Normalization([.. Enumerable.Repeat(Normalization.Mean[0], channels)], [.. Enumerable.Repeat(Normalization.Deviation[0], channels)]),
        var (own, _) => throw new ArgumentException($"Images of {channels} channels cannot be prepared as the network's images of {own} channels were."),
    };
}
