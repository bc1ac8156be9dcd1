using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Networks;
using Microsoft.ML.Flooding.Persistence;
using Microsoft.ML.Flooding.Scoring;

namespace Microsoft.ML.Flooding;

/// <summary>What a run starts from, and what follows from that: random weights, those of a file, or a trained model.</summary>
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

    /// <summary>The network to train.</summary>
    public Architecture Architecture { get; }

    /// <summary>The classes of the new model.</summary>
    public LabelKeys Labels { get; }

    /// <summary>The width that images must have; null where that is open.</summary>
    public int? Width => _keepsSize ? _preparation?.Shape.Width : null;

    /// <summary>The height that images must have; null where that is open.</summary>
    public int? Height => _keepsSize ? _preparation?.Shape.Height : null;

    /// <summary><see cref="Images.ImageColumn.CenterCrop"/>.</summary>
    public double? CenterCrop => _preparation?.CenterCrop;

    /// <summary>Gives a network its first weights; null: they are random.</summary>
    public Action<Network>? Load { get; private set; }

    /// <summary>What became of the weights of a file; null before <see cref="Load"/> and without a file.</summary>
    public PretrainedWeightsReport? Report { get; private set; }

    /// <summary>From pixels to the network's input; null where it follows from the training images.</summary>
    public Normalization? NormalizationFor(int channels) => _preparation?.NormalizationFor(channels);

    /// <summary>Random weights, or those of <see cref="TrainingOptions.PretrainedWeights"/>.</summary>
    /// <param name="labels">Of the data.</param>
    /// <param name="resizes">Whether images of any size can be brought to another one, as vectors of pixels cannot.</param>
    /// <param name="options">Checked already.</param>
    public static StartingPoint Of(LabelKeys labels, bool resizes, FloodedImageClassificationTrainer.Options options)
    {
        var architecture = options.Architecture;
        if (options.PretrainedWeights is not { } path)
        {
            // A script comes with weights, and so with a preparation.
            var scripted = architecture.Content is not null && architecture.Preprocessing is { } known ? ImagePreparation.Of(known) : null;
            return new StartingPoint(architecture, labels, scripted, keepsSize: options.ImageWidth is null);
        }
        if (architecture.Equals(Architecture.Auto))
            throw new ArgumentException(
                $"{nameof(TrainingOptions.PretrainedWeights)} is set: name the network that they are of in {nameof(TrainingOptions.Architecture)}.", nameof(options));
        if (!File.Exists(path))
        {
            throw new FileNotFoundException(Directory.Exists(path)
                ? $"{nameof(TrainingOptions.PretrainedWeights)}: '{path}' is a folder. Give the weights file in it."
                : $"{nameof(TrainingOptions.PretrainedWeights)}: there is no file '{path}'.", path);
        }
        var start = new StartingPoint(
            PretrainedWeights.WithStemOf(architecture, path), labels, WeightsOrigin.PreparationOf(path, architecture),
            keepsSize: resizes && options.ImageWidth is null);
        start.Load = network => start.Report = PretrainedWeights.Load(network, path, start._preparation?.Shape);
        return start;
    }

    /// <summary>A trained model, whose network is copied.</summary>
    /// <exception cref="ArgumentException">The options or labels do not go with the model.</exception>
    public static StartingPoint Of(FloodedImageClassificationTransformer model, LabelKeys labels, FloodedImageClassificationTrainer.Options options)
    {
        if (options.PretrainedWeights is not null)
            throw new ArgumentException($"A run starts from a model or from {nameof(TrainingOptions.PretrainedWeights)}, not from both.", nameof(options));
        if (!options.Architecture.Equals(Architecture.Auto) && !options.Architecture.Equals(model.Architecture))
            throw new ArgumentException(
                $"The pretrained model is a {model.Architecture}, {nameof(TrainingOptions.Architecture)} is {options.Architecture}. Leave it unset: the model's is kept.", nameof(options));
        var shape = model.Description.Shape;
        if (options.ImageWidth is { } width && options.ImageHeight is { } height && (width, height) != (shape.Width, shape.Height))
            throw new ArgumentException(
                $"The pretrained model takes images of {shape.Width} x {shape.Height} pixels, ImageWidth and ImageHeight are {width} and {height}. Leave them unset: the model's size is kept.",
                nameof(options));
        var (union, origins) = labels.With(model.Description.Labels);
        var start = new StartingPoint(
            model.Architecture, union, new ImagePreparation(shape, model.Description.CenterCrop, model.Description.Normalization), keepsSize: true)
        {
            _trained = model.CopyNetwork(),
        };
        start.Load = network => ContinuedWeights.Copy(network, start._trained, model.Description.Labels.Count, origins);
        return start;
    }

    public void Dispose() => _trained?.Dispose();
}
