using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Flooding;
using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Networks;
using Microsoft.ML.Flooding.Persistence;
using Microsoft.ML.Flooding.Runtime;
using Microsoft.ML.Flooding.Scoring;
using Microsoft.ML.Runtime;

[assembly: LoadableClass(typeof(FloodedImageClassificationTransformer), null, typeof(SignatureLoadModel),
    "Flooded image classification", ModelFile.LoaderSignature)]

namespace Microsoft.ML.Flooding;

/// <summary>
/// A trained image classifier: adds the columns Score (Vector&lt;Single&gt;, the probability of each class) and PredictedLabel (a key with
/// the label's values). It is thread-safe: each thread uses its own cursor or prediction engine. It owns its network: dispose of it when
/// done. Predictions in progress finish first; later ones throw <see cref="ObjectDisposedException"/>, also from existing cursors and
/// engines.
/// </summary>
/// <remarks>
/// By default a PredictionEngine disposes of its model. If several engines share a model, create them with
/// <c>new PredictionEngineOptions { OwnsTransformer = false }</c>.
/// </remarks>
public sealed class FloodedImageClassificationTransformer
    : ISingleFeaturePredictionTransformer<FloodedImageClassificationModelParameters>, IDisposable
{
    private readonly IHostEnvironment _environment;
    private readonly ImageClassifier _classifier;

    internal FloodedImageClassificationTransformer(IHostEnvironment environment, Network network, ModelDescription description)
        : this(environment, new TrainedNetwork(network, description), description)
    {
    }

    private FloodedImageClassificationTransformer(IHostEnvironment environment, TrainedNetwork network, ModelDescription description)
    {
        _environment = environment;
        using var channel = environment.Start(nameof(FloodedImageClassificationTransformer));
        _classifier = Classify(channel, network, description);
        Model = new FloodedImageClassificationModelParameters(_classifier);
    }

    // Called by ML.NET's Model.Load.
    private FloodedImageClassificationTransformer(IHostEnvironment environment, ModelLoadContext context)
    {
        _environment = environment;
        using var channel = environment.Start(nameof(FloodedImageClassificationTransformer));
        _classifier = ModelFile.Load(channel, context, (network, description) => Classify(channel, network, description));
        Model = new FloodedImageClassificationModelParameters(_classifier);
    }

    /// <summary>The flood level that the model was trained with; 0 for plain training.</summary>
    public float FloodLevel => Description.FloodLevel;

    /// <summary>
    /// The runs of the search for the flood level, in ascending order of the level; empty without a search.
    /// </summary>
    public IReadOnlyList<FloodTrial> Trials => History.Trials;

    /// <summary>The temperature that logits are divided by before the softmax; 1 unless it was fitted.</summary>
    public float Temperature => Description.Temperature;

    /// <summary>The history of the training.</summary>
    public TrainingHistory History => Description.History;

    /// <summary>
    /// What happened to the weights of <see cref="TrainingOptions.PretrainedWeights"/>; null if training started from random weights or a
    /// model.
    /// </summary>
    public PretrainedWeightsReport? PretrainedWeights => Description.PretrainedWeights;

    /// <summary>The network that was trained, never <see cref="Architecture.Auto"/>.</summary>
    public Architecture Architecture => _classifier.Architecture;

    /// <summary>The values of the label, in the order of Score's slots; numbers from 1 if the label column had no key values.</summary>
    public IReadOnlyList<string> Labels => Description.Labels.Names;

    /// <summary>The number format of scoring.</summary>
    public Precision ScoringPrecision => Description.ScoringPrecision;

    /// <summary>The engine that scores, never <see cref="ScoringEngine.Auto"/>.</summary>
    public ScoringEngine ScoringEngine => _classifier.Engine;

    /// <summary>What happens if an image cannot be read: an error, or NaN scores and a missing predicted label.</summary>
    public OnInvalidImage OnInvalidImage => Description.OnInvalidImage;

    /// <summary>The height in pixels that images are resized to.</summary>
    public int ImageHeight => Description.Shape.Height;

    /// <summary>The width in pixels that images are resized to.</summary>
    public int ImageWidth => Description.Shape.Width;

    /// <summary>Channels of an image: 3 for color, 1 for gray.</summary>
    public int Channels => Description.Shape.Channels;

    /// <summary>The parameters of the trained network. They can be read until the transformer is disposed of.</summary>
    public FloodedImageClassificationModelParameters Model { get; }

    /// <summary>The column that images are read from.</summary>
    public string FeatureColumnName => Description.FeatureColumn;

    /// <summary>
    /// The type of the image column that the model was trained on; a vector of pixels has the dimensions [height, width, channels]. The
    /// model also scores columns of the other image types. A model file that does not record the type gives Vector&lt;Byte&gt;, an encoded
    /// image.
    /// </summary>
    public DataViewType FeatureColumnType => ImageColumn.TypeOf(Description.FeatureKind, Description.Shape);

    /// <inheritdoc/>
    bool ITransformer.IsRowToRowMapper => true;

    internal ModelDescription Description => _classifier.Description;

    /// <inheritdoc/>
    /// <exception cref="ArgumentException">The image column is missing or has a type that images cannot be read from.</exception>
    public DataViewSchema GetOutputSchema(DataViewSchema inputSchema)
    {
        ArgumentNullException.ThrowIfNull(inputSchema);
        return new ScoringSchema(inputSchema, Description).Output;
    }

    /// <summary>Adds the scored columns; nothing is computed until rows are read.</summary>
    /// <exception cref="ArgumentException">The image column is missing or has a type that images cannot be read from.</exception>
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

    /// <summary>A copy of the model that computes in another number format. Dispose of both when done.</summary>
    /// <param name="precision">
    /// <see cref="Precision.Auto"/> is <see cref="Precision.BFloat16"/> on a GPU that computes it natively, and
    /// <see cref="Precision.Float32"/> on a CPU, where it scores a single image more quickly.
    /// </param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="precision"/> is not a defined value.</exception>
    /// <exception cref="InvalidOperationException">
    /// The model was set to <see cref="ScoringEngine.OnnxRuntime"/>, which does not compute in <see cref="Precision.BFloat16"/>.
    /// </exception>
    /// <exception cref="ObjectDisposedException">The transformer was disposed of.</exception>
    public FloodedImageClassificationTransformer WithScoringPrecision(Precision precision)
    {
        if (!Enum.IsDefined(precision))
            throw new ArgumentOutOfRangeException(nameof(precision), precision, "This is not a precision. Use Float32, BFloat16 or Auto.");
        return Copy(Description with { ScoringPrecision = precision });
    }

    /// <summary>A copy of the model that scores with another engine. Dispose of both when done.</summary>
    /// <param name="engine">The engine. The scores of the engines differ by rounding.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="engine"/> is not a defined value.</exception>
    /// <exception cref="InvalidOperationException">
    /// The application lacks the package of the engine, or <paramref name="engine"/> is <see cref="ScoringEngine.OnnxRuntime"/> and the
    /// model computes in <see cref="Precision.BFloat16"/> or has layers that are not known. The message says what to do.
    /// </exception>
    /// <exception cref="ObjectDisposedException">The transformer was disposed of.</exception>
    public FloodedImageClassificationTransformer WithScoringEngine(ScoringEngine engine)
    {
        if (!Enum.IsDefined(engine))
            throw new ArgumentOutOfRangeException(
                nameof(engine), engine, "This is not a scoring engine. Use Auto, OnnxRuntime or LibTorch.");
        return Copy(Description with { ScoringEngine = engine });
    }

    /// <summary>Finds the transformer in a model: the model itself, or one in a chain of any depth.</summary>
    /// <exception cref="ArgumentException">There is none, or more than one.</exception>
    internal static FloodedImageClassificationTransformer In(ITransformer model)
    {
        var found = Find(model).ToArray();
        return found.Length == 1
            ? found[0]
            : throw new ArgumentException(
                $"The model has {(found.Length == 0 ? "no" : "more than one")} {nameof(FloodedImageClassificationTransformer)} in it.",
                nameof(model));

        static IEnumerable<FloodedImageClassificationTransformer> Find(ITransformer model) => model switch
        {
            FloodedImageClassificationTransformer one => [one],
            IEnumerable<ITransformer> chain => chain.SelectMany(Find),
            _ => [],
        };
    }

    /// <summary>A network with the same weights, on the CPU. It belongs to the caller.</summary>
    /// <exception cref="ObjectDisposedException">The transformer was disposed of.</exception>
    internal Network CopyNetwork() => _classifier.Read(network => network.CopyNetwork());

    /// <summary>The most images that are scored in one pass; by default it depends on the device.</summary>
    internal int BatchSize
    {
        get => _classifier.BatchSize;
        set => _classifier.BatchSize = value;
    }

    /// <summary>
    /// Computes the loss around the trained weights along random directions, and how sharply it rises. Flooding is said to find flat
    /// minima.
    /// </summary>
    /// <param name="data">Training or test data with the image column that the model was trained on and a label with the same keys.</param>
    /// <param name="labelColumnName">The label column, a key.</param>
    /// <param name="options">The points to compute; by default a line of 21 points.</param>
    /// <exception cref="ArgumentException">A column is missing or has the wrong type.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range.</exception>
    /// <exception cref="ObjectDisposedException">The transformer was disposed of.</exception>
    public LossLandscape LossLandscape(IDataView data, string labelColumnName = "Label", LossLandscapeOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(data);
        options ??= new LossLandscapeOptions();
        TorchSettings.RequireDefaults();
        options.Validate();
        ImageColumn.ThrowIfCachedAway(data, Description.FeatureColumn);
        var label = data.Schema.GetColumnOrNull(labelColumnName)
            ?? throw new ArgumentException($"The data has no column '{labelColumnName}'.", nameof(labelColumnName));
        var feature = data.Schema.GetColumnOrNull(Description.FeatureColumn)
            ?? throw new ArgumentException($"The data has no column '{Description.FeatureColumn}'.", nameof(data));
        if (label.Type is not KeyDataViewType || !LabelKeys.Of(label).Equals(Description.Labels))
            throw new ArgumentException(
                $"Column '{labelColumnName}' does not have the keys that the model was trained with.", nameof(labelColumnName));
        var host = _environment.Register(nameof(LossLandscape));
        void CheckAlive() => HostSettings.ThrowIfCanceled(host);
        using var channel = host.Start(nameof(LossLandscape));
        var column = ImageColumn.Create(feature, ImageWidth, ImageHeight, data, Description.MaxPixels);
        column = column with { CenterCrop = Description.CenterCrop };
        using var images = ImageSet.Load(
            host, data, Description.FeatureColumn, labelColumnName, column, new ImageSetOptions(), CheckAlive);
        using var copy = CopyNetwork();
        copy.ToChannelsLast();
        var device = DeviceSelection.Choose(_environment, channel);
        return Flooding.LossLandscape.Measure(copy, images, Description.Normalization, device, options, CheckAlive);
    }

    /// <summary>
    /// Saves the network as an ONNX file (opset 17), for ONNX Runtime or ApplyOnnxModel. The input "image" is float32 [N, C, H, W] with any
    /// N; the output "probabilities" is float32 [N, classes]. The file includes the softmax and the <see cref="Temperature"/>; batch norm
    /// is folded into the convolutions. The metadata has the <see cref="Labels"/> as a JSON array named "labels".
    /// </summary>
    /// <param name="path">The path of the file. An existing file is replaced when the new one is complete.</param>
    /// <param name="includeNormalization">
    /// Whether the file includes the normalization. If true, the input is pixels, 0 to 255 (red first). If false, the caller normalizes
    /// the input with the "mean" and "deviation" of the metadata.
    /// </param>
    /// <exception cref="NotSupportedException">
    /// The network came from a factory or from TorchScript, so its layers are not known.
    /// </exception>
    /// <exception cref="IOException">The file cannot be written.</exception>
    /// <exception cref="ObjectDisposedException">The transformer was disposed of.</exception>
    public void SaveAsOnnx(string path, bool includeNormalization = true) =>
        _classifier.Read(network =>
            AtomicFile.Write(path, stream => OnnxModel.Save(stream, network.Network(), Description, includeNormalization)));

    /// <summary>
    /// Saves the weights as a safetensors file with torchvision's names, float32, for Python or as
    /// <see cref="TrainingOptions.PretrainedWeights"/>. The file also says how images are prepared. It has no labels and no options.
    /// </summary>
    /// <param name="path">The path of the file. An existing file is replaced when the new one is complete.</param>
    /// <exception cref="IOException">The file cannot be written.</exception>
    /// <exception cref="ObjectDisposedException">The transformer was disposed of.</exception>
    public void SaveAsSafetensors(string path) =>
        _classifier.Read(network =>
            AtomicFile.Write(path, stream => Safetensors.Write(stream, network.Network().State(), WeightsOrigin.Describe(Description))));

    /// <summary>Disposes of the network when the predictions in progress have finished.</summary>
    public void Dispose() => _classifier.Dispose();

    private ImageClassifier Classify(IChannel channel, TrainedNetwork network, ModelDescription description)
    {
        try
        {
            return new ImageClassifier(network, description, DeviceSelection.ChooseGpu(_environment, channel), GetType());
        }
        catch
        {
            network.Dispose();
            throw;
        }
    }

    private FloodedImageClassificationTransformer Copy(ModelDescription description) =>
        new(_environment, _classifier.Read(network => network.Copy(description)), description);
}
