using System.CommandLine;
using Microsoft.ML.Data;

namespace Mlflood.Data;

/// <summary>A saved model: the classifier in it, and the names of its columns.</summary>
internal sealed class ModelFile : IDisposable
{
    private readonly ITransformer _model;

    private ModelFile(ITransformer model, FloodedImageClassificationTransformer classifier)
    {
        (_model, Classifier) = (model, classifier);
        var input = SchemaDefinition.Create(typeof(EncodedImage));
        input[nameof(EncodedImage.File)].ColumnName = classifier.FeatureColumnName;
        var output = classifier.GetOutputSchema(new MLContext().Data.LoadFromEnumerable<EncodedImage>([], input).Schema);
        Columns = new ModelColumns(
            output.Last(column => column.Type is VectorDataViewType { ItemType.RawType: var item } && item == typeof(float)).Name,
            output.Last(column => column.Type is KeyDataViewType).Name);
    }

    public FloodedImageClassificationTransformer Classifier { get; }

    public ModelColumns Columns { get; }

    /// <summary>A required argument of a command.</summary>
    public static Argument<FileInfo> Argument() =>
        new Argument<FileInfo>("MODEL") { Description = "The .zip file of a model." }.AcceptExistingOnly();

    /// <summary>Loads a file.</summary>
    /// <exception cref="Failure">The file has no classifier, or more than one.</exception>
    public static ModelFile Load(MLContext context, FileInfo file)
    {
        TorchBackend.Load();
        var model = Read(context, file);
        var found = Find(model).ToArray();
        return found.Length == 1
            ? new ModelFile(model, found[0])
            : throw new Failure($"'{file}' has {(found.Length == 0 ? "no" : "more than one")} flooded image classifier in it.");
    }

    public void Dispose() => (_model as IDisposable)?.Dispose();

    private static ITransformer Read(MLContext context, FileInfo file)
    {
        try
        {
            return context.Model.LoadSafely(file.FullName, out _);
        }
        catch (Exception e) when (e is InvalidDataException or FormatException or InvalidOperationException)
        {
            throw new Failure($"'{file}' is not a model that can be loaded: {e.Message}");
        }
    }

    private static IEnumerable<FloodedImageClassificationTransformer> Find(ITransformer model) => model switch
    {
        FloodedImageClassificationTransformer one => [one],
        IEnumerable<ITransformer> chain => chain.SelectMany(Find),
        _ => [],
    };
}

/// <summary>The names of a model's output columns.</summary>
internal sealed record ModelColumns(string Score, string PredictedLabel);

/// <summary>The bytes of an image file.</summary>
internal sealed class EncodedImage
{
    public byte[] File { get; set; } = [];
}
