using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Networks;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Training;

/// <summary>The features of every image under frozen layers, computed once and used instead of the images: float32 [N, 1, 1, F].</summary>
internal sealed class CachedFeatures : IDisposable
{
    private CachedFeatures(TrainingData data) => Data = data;

    /// <summary>The data with features instead of pixels.</summary>
    public TrainingData Data { get; }

    /// <summary>Runs the layers before the head on all images.</summary>
    public static CachedFeatures Compute(TrainingData data, HeadOnly head, Device device, Action checkAlive)
    {
        var training = ComputeSet(data.Training, head, device, checkAlive);
        var validation = data.Validation is null ? null
            : ReferenceEquals(data.Validation, data.Training) ? training
            : ComputeSet(data.Validation, head, device, checkAlive);
        return new CachedFeatures(data with { Training = training, Validation = validation });
    }

    public void Dispose()
    {
        Data.Training.Dispose();
        if (!ReferenceEquals(Data.Training, Data.Validation))
            Data.Validation?.Dispose();
    }

    private static MemoryImageSet ComputeSet(ImageSet set, HeadOnly head, Device device, Action checkAlive)
    {
        using var scope = NewDisposeScope();
        var rows = arange(set.Count);
        using var plan = InferencePlanBuilder.BuildFeatures(head.Network, device, head.Weights.Precision);
        var features = Inference.Compute(
            head.Network, pixels => plan.Run(head.Normalizer.Apply(pixels).to(head.Weights.Precision)), set, rows, device, checkAlive);
        var shape = new ImageShape(1, 1, (int)features.shape[1]);
        var pixels = features.to(ScalarType.Float32).reshape(-1, shape.Height, shape.Width, shape.Channels);
        return new MemoryImageSet(
            shape, pixels.DetachFromDisposeScope(), set.Labels.clone().DetachFromDisposeScope(),
            rows.DetachFromDisposeScope(), set.Digests.clone().DetachFromDisposeScope())
        {
            Groups = set.Groups?.clone().DetachFromDisposeScope(),
        };
    }
}
