using Microsoft.ML.Flooding.Images;

namespace Microsoft.ML.Flooding.Scoring;

/// <summary>Everything about a trained model but its weights. It is saved as JSON; nothing in it names a .NET type.</summary>
internal sealed record ModelDescription
{
    /// <summary><see cref="Flooding.Architecture.Name"/>.</summary>
    public required string Architecture { get; init; }

    /// <summary>The shape that images are brought to.</summary>
    public required ImageShape Shape { get; init; }

    /// <summary><see cref="ImageColumn.CenterCrop"/>.</summary>
    public double? CenterCrop { get; init; }

    /// <summary>Encoded images of more pixels are refused.</summary>
    public long MaxPixels { get; init; } = ImageColumn.DefaultMaxPixels;

    /// <summary>What scoring does with an image that cannot be read.</summary>
    public OnInvalidImage OnInvalidImage { get; init; }

    /// <summary>What the network computes in.</summary>
    public Precision ScoringPrecision { get; init; }

    /// <summary>From pixels to the network's input.</summary>
    public required Normalization Normalization { get; init; }

    /// <summary>The classes.</summary>
    public required LabelKeys Labels { get; init; }

    /// <summary>The column that images are read from.</summary>
    public required string FeatureColumn { get; init; }

    /// <summary>The column that probabilities are written to.</summary>
    public required string ScoreColumn { get; init; }

    /// <summary>The column that the most probable class is written to.</summary>
    public required string PredictedLabelColumn { get; init; }

    /// <summary>The flood level that the model was trained with.</summary>
    public required float FloodLevel { get; init; }

    /// <summary>What logits are divided by before they become probabilities.</summary>
    public float Temperature { get; init; } = 1;

    /// <summary>What became of the weights that training started from; null when they were random or a model's.</summary>
    public PretrainedWeightsReport? PretrainedWeights { get; init; }

    /// <summary>The course of its training.</summary>
    public required TrainingHistory History { get; init; }

    /// <summary>Throws when the members contradict each other, as they may in a damaged file.</summary>
    /// <exception cref="InvalidDataException">The message says what is wrong.</exception>
    public void Validate()
    {
        if (MaxPixels < 1)
            throw new InvalidDataException($"A limit of {MaxPixels} pixels is not possible.");
        RequirePossible(Shape, CenterCrop, Normalization);
        if (!(Temperature > 0 && float.IsFinite(Temperature)))
            throw new InvalidDataException($"A temperature of {Temperature} is not possible.");
        if (Labels is null || History is null)
            throw new InvalidDataException("The labels or the training history are missing.");
        Labels.Validate();
        if (string.IsNullOrEmpty(FeatureColumn) || string.IsNullOrEmpty(ScoreColumn) || string.IsNullOrEmpty(PredictedLabelColumn))
            throw new InvalidDataException("A column has no name.");
    }

    /// <summary>Throws when images cannot be prepared so, as a damaged file may say.</summary>
    /// <exception cref="InvalidDataException">The message says what is wrong.</exception>
    public static void RequirePossible(ImageShape shape, double? centerCrop, Normalization? normalization)
    {
        if (centerCrop is not (null or > 0 and <= 1))
            throw new InvalidDataException($"A crop to {centerCrop} of an image is not possible.");
        if (!shape.IsPossible)
            throw new InvalidDataException($"Images of {shape} are not possible.");
        if (normalization?.Mean?.Length != shape.Channels || normalization.Deviation?.Length != shape.Channels)
            throw new InvalidDataException($"The normalisation is not for {shape.Channels} channels.");
        if (!normalization.Mean.Concat(normalization.Deviation).All(float.IsFinite))
            throw new InvalidDataException("The normalisation has values that are not finite.");
    }
}
