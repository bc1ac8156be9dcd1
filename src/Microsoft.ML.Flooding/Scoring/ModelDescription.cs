using Microsoft.ML.Flooding.Images;

namespace Microsoft.ML.Flooding.Scoring;

/// <summary>Everything about a trained model except its weights. It is saved as JSON and names no .NET type.</summary>
internal sealed record ModelDescription
{
    /// <summary>The architecture: <see cref="Flooding.Architecture.Name"/>.</summary>
    public required string Architecture { get; init; }

    /// <summary>The shape to which images are resized.</summary>
    public required ImageShape Shape { get; init; }

    /// <summary>The center crop: <see cref="ImageColumn.CenterCrop"/>.</summary>
    public double? CenterCrop { get; init; }

    /// <summary>Encoded images with more pixels than this are invalid.</summary>
    public long MaxPixels { get; init; } = ImageColumn.DefaultMaxPixels;

    /// <summary>What scoring does with an image that cannot be read.</summary>
    public OnInvalidImage OnInvalidImage { get; init; }

    /// <summary>The precision in which the network scores.</summary>
    public Precision ScoringPrecision { get; init; }

    /// <summary>The engine that scores. In files that lack this value it is <see cref="ScoringEngine.Auto"/>.</summary>
    public ScoringEngine ScoringEngine { get; init; }

    /// <summary>The mean and deviation that turn pixels into the network's input.</summary>
    public required Normalization Normalization { get; init; }

    /// <summary>The classes.</summary>
    public required LabelKeys Labels { get; init; }

    /// <summary>The image column.</summary>
    public required string FeatureColumn { get; init; }

    /// <summary>The form of the image column in training. In files that lack this value it is <see cref="ImageKind.Encoded"/>.</summary>
    public ImageKind FeatureKind { get; init; }

    /// <summary>The column of the probabilities.</summary>
    public required string ScoreColumn { get; init; }

    /// <summary>The column of the most probable class.</summary>
    public required string PredictedLabelColumn { get; init; }

    /// <summary>The flood level of the training.</summary>
    public required float FloodLevel { get; init; }

    /// <summary>The divisor of the logits before the softmax. Default: 1.</summary>
    public float Temperature { get; init; } = 1;

    /// <summary>A report on the pretrained weights that training started from; null if they were random or came from a model.</summary>
    public PretrainedWeightsReport? PretrainedWeights { get; init; }

    /// <summary>The history of the training.</summary>
    public required TrainingHistory History { get; init; }

    /// <summary>Throws if a member is invalid, which happens in a damaged file.</summary>
    /// <exception cref="InvalidDataException">The message names the problem.</exception>
    public void Validate()
    {
        if (MaxPixels < 1)
            throw new InvalidDataException($"The limit of {MaxPixels} pixels is not positive.");
        RequirePossible(Shape, CenterCrop, Normalization);
        if (!(Temperature > 0 && float.IsFinite(Temperature)))
            throw new InvalidDataException($"The temperature {Temperature} is not positive and finite.");
        if (Labels is null || History is null)
            throw new InvalidDataException("The labels or the training history are missing.");
        Labels.Validate();
        if (string.IsNullOrEmpty(FeatureColumn) || string.IsNullOrEmpty(ScoreColumn) || string.IsNullOrEmpty(PredictedLabelColumn))
            throw new InvalidDataException("A column has no name.");
    }

    /// <summary>Throws if images cannot be prepared this way, which happens with a damaged file.</summary>
    /// <exception cref="InvalidDataException">The message names the problem.</exception>
    public static void RequirePossible(ImageShape shape, double? centerCrop, Normalization? normalization)
    {
        if (centerCrop is not (null or > 0 and <= 1))
            throw new InvalidDataException($"The center crop {centerCrop} is not in (0, 1].");
        if (!shape.IsPossible)
            throw new InvalidDataException($"Images cannot have the shape {shape}.");
        if (normalization?.Mean?.Length != shape.Channels || normalization.Deviation?.Length != shape.Channels)
            throw new InvalidDataException($"The normalization does not have {shape.Channels} channels.");
        if (!normalization.Mean.Concat(normalization.Deviation).All(float.IsFinite))
            throw new InvalidDataException("The normalization has values that are not finite.");
    }
}
