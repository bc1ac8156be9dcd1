using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.ML.Flooding.Networks;
using Microsoft.ML.Flooding.Scoring;
using Microsoft.ML.Runtime;
using TorchSharp;

namespace Microsoft.ML.Flooding.Persistence;

/// <summary>
/// The entries of a trained model in ML.NET's .zip: a header by which Model.Load finds this assembly, with the length and the SHA-256 of
/// the first two of the following entries; <c>Model.json</c>, the description; <c>Weights.safetensors</c>, the weights under torchvision's
/// names; for a TorchScript network its script, <c>Network.pt</c>; for a network from an ONNX file its graph without weights,
/// <c>Network.onnx</c>. The name of the architecture contains the SHA-256 of the script or the graph.
/// </summary>
internal static class ModelFile
{
    /// <summary>The name by which ML.NET finds the transformer; at most 24 characters.</summary>
    public const string LoaderSignature = "FloodedImageClassTransf";

    private const string DescriptionEntry = "Model.json";
    private const string WeightsEntry = "Weights.safetensors";
    private const string ScriptEntry = "Network.pt";
    private const string GraphEntry = "Network.onnx";

    // Raise `written` with each change of the format, and `readable` if older libraries cannot read the new format.
    private static readonly VersionInfo Version = new(
        modelSignature: "FLOODIMG",
        verWrittenCur: 0x00010001,
        verReadableCur: 0x00010001,
        verWeCanReadBack: 0x00010001,
        loaderAssemblyName: typeof(ModelFile).Assembly.FullName,
        loaderSignature: LoaderSignature);

    private static readonly JsonSerializerOptions Json = new()
    {
        WriteIndented = true,
        Converters = { new JsonStringEnumConverter(namingPolicy: null, allowIntegerValues: false) },
        NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
        RespectNullableAnnotations = true,
        RespectRequiredConstructorParameters = true,
    };

    /// <summary>Writes a model.</summary>
    public static void Save(ModelSaveContext context, ModelDescription description, Network network)
    {
        context.CheckAtModel();
        context.SetVersionInfo(Version);
        var metadata = new Dictionary<string, string> { ["format"] = "pt", ["architecture"] = description.Architecture };
        WriteEntry(context, DescriptionEntry, stream => stream.Write(JsonSerializer.SerializeToUtf8Bytes(description, Json)));
        WriteEntry(context, WeightsEntry, stream => Safetensors.Write(stream, network.State(), metadata));
        if (network.Content is { } content)
            context.SaveBinaryStream(ContentEntryOf(description), writer => writer.Write(content));
    }

    /// <summary>Reads a model.</summary>
    /// <exception cref="FormatException">The file is damaged, or a newer version wrote it; the message says which.</exception>
    public static (ModelDescription Description, Network Network) Load(IExceptionContext host, ModelLoadContext context)
    {
        context.CheckAtModel(Version);
        try
        {
            var descriptionSeal = ReadSeal(context.Reader);
            var weightsSeal = ReadSeal(context.Reader);
            var description = ReadEntry(
                context, DescriptionEntry, descriptionSeal, stream => JsonSerializer.Deserialize<ModelDescription>(stream, Json))
                ?? throw new InvalidDataException($"Entry {DescriptionEntry} is empty.");
            description.Validate();
            var content = ReadContent(context, ContentEntryOf(description));
            return (description, ReadEntry(context, WeightsEntry, weightsSeal, stream => LoadNetwork(description, content, stream)));
        }
        catch (Exception e) when (e is InvalidDataException or JsonException or EndOfStreamException or FormatException
            or ArgumentException or OverflowException)
        {
            throw host.ExceptDecode(e, "The model of the flooded image classifier cannot be read: {0}", e.Message);
        }
    }

    private static Network LoadNetwork(ModelDescription description, byte[]? content, Stream weights)
    {
        using var scope = torch.NewDisposeScope();
        using var file = SafetensorsFile.Read(weights);
        var architecture = Architecture.Load(description.Architecture, content);
        var held = file.Entries.Sum(entry => entry.Shape.Aggregate(1L, (product, size) => product * size));
        // Check before allocating memory for a network that the file cannot fill.
        if (held < architecture.LeastParameters(description.Shape, description.Labels.Count))
            throw new InvalidDataException(
                $"{held:N0} weights are too few for {architecture.Name} with {description.Labels.Count:N0} classes.");
        var network = architecture.CreateEmpty(description.Shape, description.Labels.Count);
        try
        {
            network.AdoptState(file.LoadAll());
            return network;
        }
        catch
        {
            network.Dispose();
            throw;
        }
    }

    private static string ContentEntryOf(ModelDescription description) =>
        description.Architecture.StartsWith(CustomArchitectures.GraphPrefix, StringComparison.Ordinal) ? GraphEntry : ScriptEntry;

    private static byte[]? ReadContent(ModelLoadContext context, string entry)
    {
        byte[]? content = null;
        context.TryLoadBinaryStream(entry, reader => content = reader.ReadBytes(checked((int)reader.BaseStream.Length)));
        return content;
    }

    /// <summary>
    /// Writes an entry, and its seal to the header. It makes no copy in memory, so the entry may be larger than an array can be.
    /// </summary>
    private static void WriteEntry(ModelSaveContext context, string name, Action<Stream> write) =>
        context.SaveBinaryStream(name, writer =>
        {
            // ML.NET's stream is a temporary file, or memory if it cannot create one, so what was written can be read again.
            var stream = writer.BaseStream;
            write(stream);
            stream.Position = 0;
            var hash = SHA256.HashData(stream);
            context.Writer.Write(stream.Length);
            context.Writer.Write(hash);
        });

    private static Seal ReadSeal(BinaryReader reader)
    {
        var length = reader.ReadInt64();
        var hash = reader.ReadBytes(SHA256.HashSizeInBytes);
        return hash.Length == SHA256.HashSizeInBytes
            ? new Seal(length, hash)
            : throw new EndOfStreamException("The header is truncated.");
    }

    /// <summary>Reads an entry after checking it against its seal.</summary>
    private static T ReadEntry<T>(ModelLoadContext context, string name, Seal seal, Func<Stream, T> read)
    {
        T content = default!;
        var found = context.TryLoadBinaryStream(name, reader =>
        {
            // ML.NET unpacks the entry to a temporary file, or to memory if it cannot create one, so the stream can seek.
            var stream = reader.BaseStream;
            // Check the entry's length first, so that a damaged header cannot make this method allocate memory.
            if (stream.Length != seal.Length)
                throw new InvalidDataException($"Entry {name} has {stream.Length:N0} bytes instead of {seal.Length:N0}.");
            if (!CryptographicOperations.FixedTimeEquals(SHA256.HashData(stream), seal.Hash))
                throw new InvalidDataException($"Entry {name} is damaged: its SHA-256 does not match the header.");
            stream.Position = 0;
            content = read(stream);
        });
        return found ? content : throw new InvalidDataException($"Entry {name} is missing.");
    }

    private readonly record struct Seal(long Length, byte[] Hash);
}
