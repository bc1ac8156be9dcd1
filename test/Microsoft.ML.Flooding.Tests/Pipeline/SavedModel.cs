using System.IO.Compression;

namespace Microsoft.ML.Flooding.Tests.Pipeline;

/// <summary>A model as the bytes of its .zip file.</summary>
internal static class SavedModel
{
    public const string WeightsEntry = "Weights.safetensors";
    public const string DescriptionEntry = "Model.json";

    public static byte[] Save(MLContext context, ITransformer model, DataViewSchema schema)
    {
        using var stream = new MemoryStream();
        context.Model.Save(model, schema, stream);
        return stream.ToArray();
    }

    public static ITransformer Load(byte[] zip, MLContext? context = null) =>
        (context ?? new MLContext()).Model.Load(new MemoryStream(zip), out _);

    /// <summary>The trained weights, bit for bit.</summary>
    public static byte[] Weights(MLContext context, ITransformer model, DataViewSchema schema) =>
        Read(Save(context, model, schema), WeightsEntry);

    /// <summary>The entry of the transformer in the file.</summary>
    public static byte[] Read(byte[] zip, string entry)
    {
        using var archive = new ZipArchive(new MemoryStream(zip));
        using var content = new MemoryStream();
        using var stream = archive.Entries.Single(e => e.Name == entry).Open();
        stream.CopyTo(content);
        return content.ToArray();
    }
}
