using Microsoft.ML.Flooding.Images;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Training;

/// <summary>The features of every image under layers that are not trained, computed once and kept in the place of the images.</summary>
internal sealed class CachedFeatures : IDisposable
{
    private const int BatchSize = 256;

    private CachedFeatures(TrainingData data) => Data = data;

    /// <summary>As the data that it was made of, with features for pixels.</summary>
    public TrainingData Data { get; }

    /// <summary>Runs the layers before the head over the data.</summary>
    public static CachedFeatures Of(TrainingData data, HeadOnly head, Device device, Action checkAlive)
    {
        var training = Compute(data.Training, head, device, checkAlive);
        var validation = data.Validation is null || ReferenceEquals(data.Validation, data.Training) ? null : Compute(data.Validation, head, device, checkAlive);
        return new CachedFeatures(data with { Training = training, Validation = data.Validation is null ? null : validation ?? training });
    }

    public void Dispose()
    {
        Data.Training.Dispose();
        if (!ReferenceEquals(Data.Training, Data.Validation))
            Data.Validation?.Dispose();
    }

    private static MemoryImageSet Compute(ImageSet set, HeadOnly head, Device device, Action checkAlive)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        head.Train();
        var rows = arange(set.Count);
        using var batches = set.Read(rows, BatchSize, device);
        var features = new List<Tensor>();
        while (true)
        {
            using var step = NewDisposeScope();
            if (!batches.MoveNext())
                break;
            checkAlive();
            features.Add(head.Features(head.Normalizer.Apply(batches.Current.Pixels)).MoveToOuterDisposeScope());
        }
        var all = cat(features);
        return new MemoryImageSet(
            new ImageShape(1, 1, (int)all.shape[1]), all.DetachFromDisposeScope(), set.Labels.clone().DetachFromDisposeScope(), rows.DetachFromDisposeScope());
    }
}
