using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Serialization;
using Google.Protobuf;
using Microsoft.ML.Flooding.Networks;
using Microsoft.ML.Flooding.Networks.Onnx;
using Microsoft.ML.Flooding.Runtime;
using Microsoft.ML.Flooding.Scoring;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Flooding.Persistence;

/// <summary>
/// The entries of a trained model in ML.NET's .zip: a header by which Model.Load finds this assembly, with the length and the SHA-256 of
/// the first three of the following entries; <c>Model.json</c>, the description; <c>Weights.safetensors</c>, the weights under
/// torchvision's names; <c>Scoring.onnx</c>, the graph that ONNX Runtime scores, which names these weights, if the layers are known; for a
/// TorchScript network its script, <c>Network.pt</c>; for a network from an ONNX file its graph without weights, <c>Network.onnx</c>. The
/// name of the architecture contains the SHA-256 of the script or the graph.
/// </summary>
internal static class ModelFile
{
    /// <summary>The name by which ML.NET finds the transformer; at most 24 characters.</summary>
    public const string LoaderSignature = "FloodedImageClassTransf";

    /// <summary>The entry of the weights.</summary>
    public const string WeightsEntry = "Weights.safetensors";

    private const string DescriptionEntry = "Model.json";
    private const string ScoringEntry = "Scoring.onnx";
    private const string ScriptEntry = "Network.pt";
    private const string GraphEntry = "Network.onnx";

    // Raise `written` with each change of the format, and `readable` if older libraries cannot read the new format.
    private static readonly VersionInfo Version = new(
        modelSignature: "FLOODIMG",
        verWrittenCur: 0x00010002,
        verReadableCur: 0x00010001,
        verWeCanReadBack: 0x00010001,
        loaderAssemblyName: typeof(ModelFile).Assembly.FullName,
        loaderSignature: LoaderSignature);

    // The first version with an entry for ONNX Runtime.
    private const uint FirstWithScoring = 0x00010002;

    private static readonly JsonSerializerOptions Json = new()
    {
        WriteIndented = true,
        Converters = { new JsonStringEnumConverter() },
        NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
    };

    // The largest ratio of deflate.
    private const long MostExpansion = 1032;

    /// <summary>Writes a model.</summary>
    public static void Save(ModelSaveContext context, ModelDescription description, TrainedNetwork network)
    {
        context.CheckAtModel();
        context.SetVersionInfo(Version);
        var metadata = new Dictionary<string, string> { ["format"] = "pt", ["architecture"] = description.Architecture };
        WriteEntry(context, DescriptionEntry, stream => JsonSerializer.Serialize(stream, description, Json));
        WriteEntry(context, WeightsEntry, stream => network.WriteWeights(stream, metadata));
        context.Writer.Write(network.HasGraph);
        if (network.HasGraph)
            WriteEntry(context, ScoringEntry, stream => network.Graph().WriteTo(stream));
        if (network.Architecture.Content is { } content)
            context.SaveBinaryStream(ContentEntryOf(description), writer => writer.Write(content));
    }

    /// <summary>Reads a model.</summary>
    /// <param name="host">Reports errors.</param>
    /// <param name="context">The place in the file.</param>
    /// <param name="open">Creates the result from the network, which it owns.</param>
    /// <exception cref="FormatException">The file is damaged, or a newer version wrote it; the message says which.</exception>
    public static T Load<T>(IExceptionContext host, ModelLoadContext context, Func<TrainedNetwork, ModelDescription, T> open)
    {
        context.CheckAtModel(Version);
        try
        {
            var descriptionSeal = ReadSeal(context.Reader);
            var weightsSeal = ReadSeal(context.Reader);
            var scoringSeal = context.Header.ModelVerWritten >= FirstWithScoring && context.Reader.ReadBoolean()
                ? ReadSeal(context.Reader)
                : (Seal?)null;
            var description = ReadEntry(context, DescriptionEntry, descriptionSeal, DescriptionReader.Read);
            description.Validate();
            var content = ReadContent(context, ContentEntryOf(description));
            var architecture = Architecture.Load(description.Architecture, content);
            var network = scoringSeal is { } seal
                ? ReadNetwork(context, weightsSeal, seal, architecture, description)
                : ReadEntry(context, WeightsEntry, weightsSeal, stream => LoadNetwork(architecture, description, stream));
            return open(network, description);
        }
        catch (Exception e) when (e is InvalidDataException or JsonException or EndOfStreamException or FormatException
            or ArgumentException or OverflowException or InvalidProtocolBufferException)
        {
            throw host.ExceptDecode(e, "The model of the flooded image classifier cannot be read: {0}", e.Message);
        }
    }

    /// <summary>Reads a network that ONNX Runtime can score. It stays bytes, and libtorch is not needed.</summary>
    private static TrainedNetwork ReadNetwork(
        ModelLoadContext context, Seal weightsSeal, Seal graphSeal, Architecture architecture, ModelDescription description)
    {
        EngineSelection.Prepare(description);
        var graph = ReadEntry(context, ScoringEntry, graphSeal, ModelProto.Parser.ParseFrom);
        using var bytes = ReadBytes(context, WeightsEntry, weightsSeal);
        var weights = SafetensorsFile.Read(bytes);
        try
        {
            RequireEnough(weights, architecture, description);
            OnnxModel.Check(graph, description, weights);
            return new TrainedNetwork(architecture, description, weights, graph);
        }
        catch
        {
            weights.Dispose();
            throw;
        }
    }

    /// <summary>Reads a network as libtorch has it.</summary>
    private static TrainedNetwork LoadNetwork(Architecture architecture, ModelDescription description, Stream stream)
    {
        LibTorch.EnsureLoaded();
        using var weights = SafetensorsFile.Read(stream);
        RequireEnough(weights, architecture, description);
        return new TrainedNetwork(TrainedNetwork.Load(architecture, description, weights), description);
    }

    /// <summary>Throws before memory is allocated for a network that the file cannot fill.</summary>
    private static void RequireEnough(SafetensorsFile weights, Architecture architecture, ModelDescription description)
    {
        var held = weights.Entries.Sum(entry => entry.Shape.Aggregate(1L, (product, size) => product * size));
        if (held < architecture.LeastParameters(description.Shape, description.Labels.Count))
            throw new InvalidDataException(
                $"{held:N0} weights are too few for {architecture.Name} with {description.Labels.Count:N0} classes.");
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
    private static T ReadEntry<T>(ModelLoadContext context, string name, Seal seal, Func<Stream, T> read) =>
        ReadSealed(context, name, seal, stream =>
        {
            RequireHash(name, seal, SHA256.HashData(stream));
            stream.Position = 0;
            return read(stream);
        });

    /// <summary>Reads the bytes of an entry and checks them against its seal.</summary>
    private static NativeBytes ReadBytes(ModelLoadContext context, string name, Seal seal)
    {
        if (ArchiveEntry.Find(context, name) is not { } entry)
            return ReadSealed(context, name, seal, stream => ReadBytes(stream, name, seal));
        // Opening checks that the compressed bytes lie within the archive.
        using var content = entry.Open();
        RequireLength(name, seal, entry.Length);
        if (entry.Length / MostExpansion > entry.CompressedLength)
            throw new InvalidDataException($"Entry {name} is damaged: {entry.CompressedLength:N0} bytes cannot hold {entry.Length:N0}.");
        return ReadBytes(content, name, seal);
    }

    private static NativeBytes ReadBytes(Stream stream, string name, Seal seal)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var content = NativeBytes.Read(stream, seal.Length, hash);
        try
        {
            RequireHash(name, seal, hash.GetHashAndReset());
            return content;
        }
        catch
        {
            content.Dispose();
            throw;
        }
    }

    private static T ReadSealed<T>(ModelLoadContext context, string name, Seal seal, Func<Stream, T> read)
    {
        T content = default!;
        var found = context.TryLoadBinaryStream(name, reader =>
        {
            // ML.NET unpacks the entry to a temporary file, or to memory if it cannot create one, so the stream can seek.
            var stream = reader.BaseStream;
            // Check the entry's length first, so that a damaged header cannot make this method allocate memory.
            RequireLength(name, seal, stream.Length);
            content = read(stream);
        });
        return found ? content : throw new InvalidDataException($"Entry {name} is missing.");
    }

    private static void RequireLength(string name, Seal seal, long length)
    {
        if (length != seal.Length)
            throw new InvalidDataException($"Entry {name} has {length:N0} bytes instead of {seal.Length:N0}.");
    }

    private static void RequireHash(string name, Seal seal, ReadOnlySpan<byte> hash)
    {
        if (!CryptographicOperations.FixedTimeEquals(hash, seal.Hash))
            throw new InvalidDataException($"Entry {name} is damaged: its SHA-256 does not match the header.");
    }

    private readonly record struct Seal(long Length, byte[] Hash);
}
