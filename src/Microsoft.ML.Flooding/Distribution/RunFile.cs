using System.Text.Json;
using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Networks;
using Microsoft.ML.Flooding.Training;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Distribution;

/// <summary>
/// A run as a safetensors file: everything that another process needs to train it, except the pixels and the snapshot that it starts from.
/// </summary>
internal static class RunFile
{
    private const string DescriptionKey = "run";
    private const string Rows = "rows";
    private const string Weights = "weights";
    private const string Groups = "groups";
    private const string Labels = "labels";
    private const string Digests = "digests";
    private const string Validation = "validation.";
    private const string HeldOut = "held-out";
    private const string Content = "architecture";
    private const string Initial = "initial.";

    /// <summary>Writes a run.</summary>
    /// <exception cref="IOException">The file cannot be written.</exception>
    public static void Write(string path, RunDescription run, RunFactory runs)
    {
        using var scope = NewDisposeScope();
        var data = runs.Data;
        var tensors = new List<(string, Tensor)> { (Rows, data.TrainingRows) };
        AddSet("", data.Training, data.Weights);
        if (data.ValidationRows is { } validationRows)
            tensors.Add((Validation + Rows, validationRows));
        if (data.Validation is { } validation && !ReferenceEquals(validation, data.Training))
            AddSet(Validation, validation, data.ValidationWeights);
        else if (data.ValidationWeights is { } weights)
            tensors.Add((Validation + Weights, weights));
        if (run.Options.Objective.Auxiliaries is { } auxiliaries)
            tensors.Add((HeldOut, runs.HeldOut!(auxiliaries)));
        if (runs.Architecture.Content is { } content)
            tensors.Add((Content, tensor(content)));
        if (runs.InitialWeights is not null)
        {
            using var network = runs.CreateNetwork();
            tensors.AddRange(network.State().Select(s => (Initial + s.Name, s.Tensor.detach().clone())));
        }
        Safetensors.Write(path, tensors, new Dictionary<string, string> { [DescriptionKey] = run.ToJson() });

        void AddSet(string prefix, ImageSet set, Tensor? weights)
        {
            tensors.Add((prefix + Labels, set.Labels));
            tensors.Add((prefix + Digests, set.Digests));
            if (set.Groups is { } groups)
                tensors.Add((prefix + Groups, groups));
            if (weights is not null)
                tensors.Add((prefix + Weights, weights));
        }
    }

    /// <summary>Reads the scalars of a run.</summary>
    /// <exception cref="InvalidDataException">The file is damaged.</exception>
    public static RunDescription Describe(string path)
    {
        using var file = SafetensorsFile.Open(path);
        return Describe(file);
    }

    /// <summary>Reads a run.</summary>
    /// <param name="path">The file.</param>
    /// <param name="pathOf">Gives the file of pixels.</param>
    /// <param name="device">The device to train on.</param>
    /// <param name="checkAlive">Called before each step; throws to cancel.</param>
    /// <exception cref="InvalidDataException">A file is damaged.</exception>
    public static (RunDescription Run, RunFactory Runs, IDisposable Owner) Read(
        string path, Func<PixelFile, string> pathOf, Device device, Action checkAlive)
    {
        var owner = new Owned();
        try
        {
            using var file = SafetensorsFile.Open(path);
            var run = Describe(file);
            var training = SetOf(run.Pixels, "");
            var validation = run.ValidationPixels is not { } pixels ? null
                : Find(Validation + Labels) is null ? training
                : SetOf(pixels, Validation);
            var data = new TrainingData(training, Load(Rows), validation, Find(Validation + Rows))
            {
                Weights = Find(Weights),
                ValidationWeights = Find(Validation + Weights),
            };
            var initial = file.Entries.Where(entry => entry.Name.StartsWith(Initial, StringComparison.Ordinal))
                .ToDictionary(entry => entry.Name[Initial.Length..], entry => Load(entry.Name));
            var content = Find(Content) is { } bytes ? bytes.data<byte>().ToArray() : null;
            var heldOut = Find(HeldOut);
            var runs = new RunFactory(
                Architecture.Load(run.Architecture, content), run.Classes, data, run.Normalization, device,
                run.Options.Precision.On(device), run.Seed, checkAlive,
                initial.Count == 0 ? null : network => network.LoadState(initial),
                heldOut is null ? null : _ => heldOut);
            return (run, runs, owner);

            Tensor Load(string name) => owner.Add(file.Load(name).DetachFromDisposeScope());

            Tensor? Find(string name) => file.Find(name) is null ? null : Load(name);

            ImageSet SetOf(PixelFile pixels, string prefix)
            {
                var set = owner.Add(pixels.Open(
                    pathOf(pixels), file.Load(prefix + Labels).DetachFromDisposeScope(),
                    file.Load(prefix + Digests).DetachFromDisposeScope()));
                if (file.Find(prefix + Groups) is not null)
                    set.Groups = file.Load(prefix + Groups).DetachFromDisposeScope();
                return set;
            }
        }
        catch (Exception e)
        {
            owner.Dispose();
            if (e is KeyNotFoundException or JsonException)
                throw Damaged(path, e);
            throw;
        }
    }

    private static RunDescription Describe(SafetensorsFile file) => RunDescription.FromJson(
        file.Metadata.GetValueOrDefault(DescriptionKey) ?? throw new InvalidDataException("The file describes no run."));

    private static InvalidDataException Damaged(string path, Exception e) => new($"The run '{path}' is damaged: {e.Message}", e);

    private sealed class Owned : IDisposable
    {
        private readonly List<IDisposable> _all = [];

        public T Add<T>(T item) where T : IDisposable
        {
            _all.Add(item);
            return item;
        }

        public void Dispose() => _all.ForEach(item => item.Dispose());
    }
}
