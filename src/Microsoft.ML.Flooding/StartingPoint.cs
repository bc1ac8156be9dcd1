using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Networks;
using Microsoft.ML.Flooding.Persistence;
using Microsoft.ML.Flooding.Scoring;

namespace Microsoft.ML.Flooding;

/// <summary>
/// What training starts from: random weights, the weights of a file, or a trained model. It decides how images are prepared.
/// </summary>
internal sealed class StartingPoint : IDisposable
{
    private readonly ImagePreparation? _preparation;
    private readonly bool _keepsSize;
    private Network? _trained;

    private StartingPoint(Architecture architecture, LabelKeys labels, ImagePreparation? preparation, bool keepsSize)
    {
        Architecture = architecture;
        Labels = labels;
        _preparation = preparation;
        _keepsSize = keepsSize;
    }

    /// <summary>The architecture to train.</summary>
    public Architecture Architecture { get; }

    /// <summary>The classes of the new model.</summary>
    public LabelKeys Labels { get; }

    /// <summary>The width of images in pixels; null if the starting point does not fix it.</summary>
    public int? Width => _keepsSize ? _preparation?.Shape.Width : null;

    /// <summary>The height of images in pixels; null if the starting point does not fix it.</summary>
    public int? Height => _keepsSize ? _preparation?.Shape.Height : null;

    /// <summary><see cref="Images.ImageColumn.CenterCrop"/>.</summary>
    public double? CenterCrop => _preparation?.CenterCrop;

    /// <summary>Gives a network its initial weights; null if they are random.</summary>
    public Action<Network>? Load { get; private set; }

    /// <summary>What happened to the weights of a file; null before <see cref="Load"/> and without a file.</summary>
    public PretrainedWeightsReport? Report { get; private set; }

    /// <summary>Whether the weights were trained on other images, and the layers of the network are known.</summary>
    public bool IsPretrained { get; private init; }

    /// <summary>The normalization of pixels; null if it is computed from the training images.</summary>
    public Normalization? NormalizationFor(int channels) => _preparation?.NormalizationFor(channels);

    /// <summary>Starts from random weights or from <see cref="TrainingOptions.PretrainedWeights"/>.</summary>
    /// <param name="options">Valid options.</param>
    /// <param name="labels">The classes of the data.</param>
    /// <param name="resizes">Whether images can be resized; vectors of pixels cannot.</param>
    /// <exception cref="ArgumentException"><see cref="TrainingOptions.PretrainedWeights"/> needs an architecture.</exception>
    /// <exception cref="FileNotFoundException">The file of weights does not exist.</exception>
    public static StartingPoint FromOptions(FloodedImageClassificationTrainer.Options options, LabelKeys labels, bool resizes)
    {
        var architecture = options.Architecture;
        if (options.PretrainedWeights is not { } path)
        {
            // A script has trained weights, and so it fixes how images are prepared.
            var scripted = architecture.Content is not null && architecture.Preprocessing is { } known
                ? ImagePreparation.Of(known)
                : null;
            return new StartingPoint(architecture, labels, scripted, keepsSize: options.ImageWidth is null)
            {
                IsPretrained = scripted is not null && architecture.HasKnownLayers,
            };
        }
        if (architecture.Equals(Architecture.Auto))
            throw new ArgumentException(
                $"{nameof(options.PretrainedWeights)} is set, but {nameof(options.Architecture)} is not. "
                + $"Set {nameof(options.Architecture)} to the network that the weights belong to.", nameof(options));
        if (!File.Exists(path))
        {
            throw new FileNotFoundException(Directory.Exists(path)
                ? $"{nameof(options.PretrainedWeights)}: '{path}' is a folder. Give the weights file in it."
                : $"{nameof(options.PretrainedWeights)}: there is no file '{path}'.", path);
        }
        var start = new StartingPoint(
            PretrainedWeights.WithStemOf(architecture, path), labels, WeightsOrigin.PreparationOf(path, architecture),
            keepsSize: resizes && options.ImageWidth is null)
        {
            IsPretrained = architecture.HasKnownLayers,
        };
        start.Load = network => start.Report = PretrainedWeights.Load(network, path, start._preparation?.Shape);
        return start;
    }

    /// <summary>Starts from a copy of a trained model.</summary>
    /// <exception cref="ArgumentException">The options or labels do not fit the model.</exception>
    public static StartingPoint FromModel(
        FloodedImageClassificationTransformer model, LabelKeys labels, FloodedImageClassificationTrainer.Options options)
    {
        if (options.PretrainedWeights is not null)
            throw new ArgumentException(
                $"Training starts from a model or from {nameof(options.PretrainedWeights)}, not from both. Unset one.", nameof(options));
        if (!options.Architecture.Equals(Architecture.Auto) && !options.Architecture.Equals(model.Architecture))
            throw new ArgumentException(
                $"The pretrained model is a {model.Architecture}, {nameof(options.Architecture)} is {options.Architecture}. "
                + "Leave it unset: the model's is kept.", nameof(options));
        var shape = model.Description.Shape;
        if (options.ImageWidth is { } width && options.ImageHeight is { } height && (width, height) != (shape.Width, shape.Height))
            throw new ArgumentException(
                $"The pretrained model takes images of {shape.Width} x {shape.Height} pixels, ImageWidth and ImageHeight are {width} and "
                + $"{height}. Leave them unset: the model's size is kept.", nameof(options));
        var (union, origins) = labels.With(model.Description.Labels);
        var start = new StartingPoint(
            model.Architecture, union,
            new ImagePreparation(shape, model.Description.CenterCrop, model.Description.Normalization), keepsSize: true)
        {
            _trained = model.CopyNetwork(),
        };
        start.Load = network => ContinuedWeights.Copy(network, start._trained, model.Description.Labels.Count, origins);
        return start;
    }

    public void Dispose() => _trained?.Dispose();
}
