using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Flooding;
using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Networks;
using Microsoft.ML.Flooding.Persistence;
using Microsoft.ML.Flooding.Persistence.Onnx;
using Microsoft.ML.Flooding.Reports;
using Microsoft.ML.Flooding.Runtime;
using Microsoft.ML.Flooding.Scoring;
using Microsoft.ML.Runtime;

[assembly: LoadableClass(typeof(FloodedImageClassificationTransformer), null, typeof(SignatureLoadModel),
    "Flooded image classification", ModelFile.LoaderSignature)]

namespace Microsoft.ML.Flooding;

/// <summary>
/// A trained image classifier: adds the columns Score (Vector&lt;Single&gt;, the probability of each class) and PredictedLabel (a key with the
/// label's values). Any number of threads may use it at once, by cursors and prediction engines of their own. It owns its network: dispose of
/// it when done. Disposal lets predictions that are at it finish; later ones, by cursors and engines made before as well, throw
/// <see cref="ObjectDisposedException"/>.
/// </summary>
/// <remarks>
/// A PredictionEngine disposes of its model unless told otherwise: where several share one, create them with
/// <c>new PredictionEngineOptions { OwnsTransformer = false }</c>.
/// </remarks>
public sealed class FloodedImageClassificationTransformer : ITransformer, IDisposable
{
    private readonly IHostEnvironment _environment;
    private readonly ImageClassifier _classifier;

    internal FloodedImageClassificationTransformer(IHostEnvironment environment, Network network, ModelDescription description)
    {
        _environment = environment;
        using var channel = environment.Start(nameof(FloodedImageClassificationTransformer));
        Architecture = Architecture.Load(description.Architecture, network.Content);
        _classifier = new ImageClassifier(network, description, DeviceSelection.Choose(environment, channel), GetType());
    }

    // Called by ML.NET's Model.Load.
    private FloodedImageClassificationTransformer(IHostEnvironment environment, ModelLoadContext context)
    {
        LibTorch.EnsureLoaded();
        _environment = environment;
        using var channel = environment.Start(nameof(FloodedImageClassificationTransformer));
        var (description, network) = ModelFile.Load(channel, context);
        Architecture = Architecture.Load(description.Architecture, network.Content);
        _classifier = new ImageClassifier(network, description, DeviceSelection.Choose(environment, channel), GetType());
    }

    /// <summary>The flood level that the model was trained with; 0 for plain training.</summary>
    public float FloodLevel => Description.FloodLevel;

    /// <summary>
    /// The runs of the search that the level was chosen by, in ascending order of the level; empty where it was given.
    /// </summary>
    public IReadOnlyList<FloodTrial> Trials => History.Trials;

    /// <summary>What logits are divided by before they become probabilities; 1 unless it was fitted.</summary>
    public float Temperature => Description.Temperature;

    /// <summary>The course of the training.</summary>
    public TrainingHistory History => Description.History;

    /// <summary>
    /// What became of the weights of <see cref="TrainingOptions.PretrainedWeights"/>; null when training started from random weights or from a model.
    /// </summary>
    public PretrainedWeightsReport? PretrainedWeights => Description.PretrainedWeights;

    /// <summary>The network that was trained, never <see cref="Architecture.Auto"/>.</summary>
    public Architecture Architecture { get; }

    /// <summary>The values of the label, in the order of Score's slots; numbers from 1 where the label column had no key values.</summary>
    public IReadOnlyList<string> Labels => Description.Labels.Names;

    /// <summary>The number format that it scores in.</summary>
    public Precision ScoringPrecision => Description.ScoringPrecision;

    /// <summary>What it does with an image that cannot be read: an error, or NaN scores and a missing predicted label.</summary>
    public OnInvalidImage OnInvalidImage => Description.OnInvalidImage;

    /// <summary>Height in pixels that images are brought to.</summary>
    public int ImageHeight => Description.Shape.Height;

    /// <summary>Width in pixels that images are brought to.</summary>
    public int ImageWidth => Description.Shape.Width;

    /// <summary>Channels of an image: 3 for colour, 1 for grey.</summary>
    public int Channels => Description.Shape.Channels;

    /// <inheritdoc/>
    bool ITransformer.IsRowToRowMapper => true;

    internal ModelDescription Description => _classifier.Description;

    /// <inheritdoc/>
    /// <exception cref="ArgumentException">The image column is missing or of a type that images cannot be read from.</exception>
    public DataViewSchema GetOutputSchema(DataViewSchema inputSchema)
    {
        ArgumentNullException.ThrowIfNull(inputSchema);
        return new ScoringSchema(inputSchema, Description).Output;
    }

    /// <summary>Adds the scored columns; nothing is computed until rows are read.</summary>
    /// <exception cref="ArgumentException">The image column is missing or of a type that images cannot be read from.</exception>
    /// <exception cref="ObjectDisposedException">The transformer was disposed of.</exception>
    public IDataView Transform(IDataView input)
    {
        ArgumentNullException.ThrowIfNull(input);
        _classifier.ThrowIfDisposed();
        ImageColumn.ThrowIfCachedAway(input, Description.FeatureColumn);
        return new ConvertibleDataView(input, new ScoringSchema(input.Schema, Description), _classifier, this);
    }

    /// <inheritdoc/>
    IRowToRowMapper ITransformer.GetRowToRowMapper(DataViewSchema inputSchema)
    {
        ArgumentNullException.ThrowIfNull(inputSchema);
        _classifier.ThrowIfDisposed();
        return new RowScorer(new ScoringSchema(inputSchema, Description), _classifier);
    }

    /// <inheritdoc/>
    void ICanSaveModel.Save(ModelSaveContext ctx)
    {
        ArgumentNullException.ThrowIfNull(ctx);
        _classifier.Read(network => ModelFile.Save(ctx, Description, network));
    }

    /// <summary>The same model, computing in another number format. It has a network of its own: dispose of both when done.</summary>
    /// <param name="precision"><see cref="Precision.Auto"/> is <see cref="Precision.BFloat16"/> where the device computes it natively.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="precision"/> is not a defined value.</exception>
    /// <exception cref="ObjectDisposedException">The transformer was disposed of.</exception>
    public FloodedImageClassificationTransformer WithScoringPrecision(Precision precision)
    {
        if (!Enum.IsDefined(precision))
            throw new ArgumentOutOfRangeException(nameof(precision), precision, "Not a precision.");
        var description = Description with { ScoringPrecision = precision };
        return new FloodedImageClassificationTransformer(_environment, CopyNetwork(), description);
    }

    /// <summary>The transformer within a model: the model itself, or one in a chain of any depth.</summary>
    /// <exception cref="ArgumentException">There is none, or more than one.</exception>
    internal static FloodedImageClassificationTransformer In(ITransformer model)
    {
        var found = Find(model).ToArray();
        return found.Length == 1
            ? found[0]
            : throw new ArgumentException($"The model has {(found.Length == 0 ? "no" : "more than one")} {nameof(FloodedImageClassificationTransformer)} in it.", nameof(model));

        static IEnumerable<FloodedImageClassificationTransformer> Find(ITransformer model) => model switch
        {
            FloodedImageClassificationTransformer one => [one],
            IEnumerable<ITransformer> chain => chain.SelectMany(Find),
            _ => [],
        };
    }

    /// <summary>A network with the same weights that belongs to the caller, on the CPU.</summary>
    /// <exception cref="ObjectDisposedException">The transformer was disposed of.</exception>
    internal Network CopyNetwork()
    {
        var copy = Architecture.CreateEmpty(Description.Shape, Description.Labels.Count);
        try
        {
            _classifier.Read(network => copy.LoadState(network.State().ToDictionary(entry => entry.Name, entry => entry.Tensor)));
            return copy;
        }
        catch
        {
            copy.Dispose();
            throw;
        }
    }

    /// <summary>Scores at most so many images in one pass from here on; by default as many as suit the device.</summary>
    internal FloodedImageClassificationTransformer WithBatchSize(int batchSize)
    {
        _classifier.BatchSize = batchSize;
        return this;
    }

    /// <summary>
    /// The loss around the trained weights along random directions, and how sharply it rises: flooding is said to lead to flat minima.
    /// </summary>
    /// <param name="data">With the image column that the model was trained on and a label with the same keys; of a training or a test set.</param>
    /// <param name="labelColumnName">The label column, a key.</param>
    /// <param name="options">How it is taken; a line of 21 points if not given.</param>
    /// <exception cref="ArgumentException">A column is missing or of the wrong type.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range.</exception>
    /// <exception cref="ObjectDisposedException">The transformer was disposed of.</exception>
    public LossLandscape LossLandscape(IDataView data, string labelColumnName = "Label", LossLandscapeOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(data);
        options ??= new LossLandscapeOptions();
        TorchSettings.RequireDefaults();
        options.Validate();
        ImageColumn.ThrowIfCachedAway(data, Description.FeatureColumn);
        var label = data.Schema.GetColumnOrNull(labelColumnName) ?? throw new ArgumentException($"The data has no column '{labelColumnName}'.", nameof(labelColumnName));
        var feature = data.Schema.GetColumnOrNull(Description.FeatureColumn) ?? throw new ArgumentException($"The data has no column '{Description.FeatureColumn}'.", nameof(data));
        if (label.Type is not KeyDataViewType || !LabelKeys.Of(label).Equals(Description.Labels))
            throw new ArgumentException($"Column '{labelColumnName}' does not have the keys that the model was trained with.", nameof(labelColumnName));
        var host = _environment.Register(nameof(LossLandscape));
        void CheckAlive() => HostSettings.ThrowIfCanceled(host);
        using var channel = host.Start(nameof(LossLandscape));
        var column = ImageColumn.Create(feature, ImageWidth, ImageHeight, data, Description.MaxPixels) with { CenterCrop = Description.CenterCrop };
        using var images = ImageSet.Load(host, data, Description.FeatureColumn, labelColumnName, column, new ImageSetOptions(), CheckAlive);
        using var copy = CopyNetwork();
        copy.ToChannelsLast();
        return LandscapeSurvey.Of(copy, images, Description.Normalization, DeviceSelection.Choose(_environment, channel), options, CheckAlive);
    }

    /// <summary>
    /// Saves the network as an ONNX file (opset 17), for ONNX Runtime or ApplyOnnxModel: from the input "image", float32 [N, C, H, W] with N free, to
    /// the output "probabilities", float32 [N, classes]. Batch norm is folded in, the softmax and <see cref="Temperature"/> are inside. The metadata
    /// has the <see cref="Labels"/> as a JSON array named "labels".
    /// </summary>
    /// <param name="path">Where to; an existing file is replaced once the new one is whole.</param>
    /// <param name="includeNormalization">
    /// Whether the input is pixels, 0 to 255 (red first), or is to be normalized already, by the "mean" and "deviation" of the metadata.
    /// </param>
    /// <exception cref="NotSupportedException">The network came from a factory or from TorchScript: nothing is known of its layers.</exception>
    /// <exception cref="IOException">The file cannot be written.</exception>
    /// <exception cref="ObjectDisposedException">The transformer was disposed of.</exception>
    public void SaveAsOnnx(string path, bool includeNormalization = true) =>
        _classifier.Read(network => AtomicFile.Write(path, stream => OnnxModel.Save(stream, network, Description, includeNormalization)));

    /// <summary>
    /// Saves the weights as a safetensors file in torchvision's names, float32: for Python, or as <see cref="TrainingOptions.PretrainedWeights"/>, for
    /// which the file says how images are prepared. Labels and options are not in it.
    /// </summary>
    /// <param name="path">Where to; an existing file is replaced once the new one is whole.</param>
    /// <exception cref="IOException">The file cannot be written.</exception>
    /// <exception cref="ObjectDisposedException">The transformer was disposed of.</exception>
    public void SaveAsSafetensors(string path) =>
        _classifier.Read(network => AtomicFile.Write(path, stream => Safetensors.Write(stream, network.State(), WeightsOrigin.Describe(Description))));

    /// <summary>Releases the network, once the predictions that are at it have finished.</summary>
    public void Dispose() => _classifier.Dispose();
}
