using System.Text.Json;
using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Networks;
using Microsoft.ML.Flooding.Scoring;

namespace Microsoft.ML.Flooding.Persistence;

/// <summary>How images are prepared for the weights of a safetensors file, stored in its metadata.</summary>
internal static class WeightsOrigin
{
    private const string Key = "flooding";

    private static readonly JsonSerializerOptions Json = new()
    {
        RespectNullableAnnotations = true,
        RespectRequiredConstructorParameters = true,
    };

    /// <summary>The metadata for the weights of a trained model.</summary>
    public static Dictionary<string, string> Describe(ModelDescription description) => new()
    {
        ["format"] = "pt",
        ["architecture"] = description.Architecture,
        [Key] = JsonSerializer.Serialize(new ImagePreparation(description.Shape, description.CenterCrop, description.Normalization)),
    };

    /// <summary>
    /// Finds how images are prepared for the weights of a file: from its metadata, else from the known file of this name, else from the
    /// public weights of the architecture. Returns null if none of them is known.
    /// </summary>
    /// <exception cref="InvalidDataException">The file is malformed.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static ImagePreparation? PreparationOf(string path, Architecture architecture) => TensorFile.Read(path, file =>
    {
        if (!file.Metadata.TryGetValue(Key, out var json))
            return (PretrainedModels.Find(path)?.Preprocessing ?? architecture.Preprocessing) is { } known
                ? ImagePreparation.Of(known)
                : null;
        try
        {
            var preparation = JsonSerializer.Deserialize<ImagePreparation>(json, Json)
                ?? throw new InvalidDataException($"Its metadata '{Key}' is empty.");
            ModelDescription.RequirePossible(preparation.Shape, preparation.CenterCrop, preparation.Normalization);
            return preparation;
        }
        catch (JsonException e)
        {
            throw new InvalidDataException($"Its metadata '{Key}' is damaged: {e.Message}", e);
        }
    });
}

/// <summary>How images are prepared for a network.</summary>
/// <param name="Shape">The shape to which images are resized.</param>
/// <param name="CenterCrop">The center crop: <see cref="ImageColumn.CenterCrop"/>.</param>
/// <param name="Normalization">The normalization of the pixels.</param>
internal sealed record ImagePreparation(ImageShape Shape, double? CenterCrop, Normalization Normalization)
{
    private const float White = 255;

    /// <summary>The preparation for public weights.</summary>
    public static ImagePreparation Of(Preprocessing preprocessing) => new(
        new ImageShape(preprocessing.Height, preprocessing.Width, preprocessing.Mean.Length), preprocessing.CenterCrop,
        new Normalization([.. preprocessing.Mean.Select(m => m * White)], [.. preprocessing.Deviation.Select(d => d * White)]));

    /// <summary>
    /// The normalization for another number of channels: gray gets the mean of the colors, and each color gets the values of gray.
    /// </summary>
    /// <exception cref="ArgumentException">The number of channels is different, and neither number is 1.</exception>
    public Normalization NormalizationFor(int channels) => (Normalization.Mean.Length, channels) switch
    {
        var (own, other) when own == other => Normalization,
        (_, 1) => new Normalization([Normalization.Mean.Average()], [Normalization.Deviation.Average()]),
        (1, _) => new Normalization(
            [.. Enumerable.Repeat(Normalization.Mean[0], channels)], [.. Enumerable.Repeat(Normalization.Deviation[0], channels)]),
        var (own, _) => throw new ArgumentException(
            $"Images of {channels} channels cannot be prepared for weights that were trained on images of {own} channels."),
    };
}
