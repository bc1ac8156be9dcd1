using Microsoft.ML.Flooding.Runtime;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Networks;

/// <summary>A module made elsewhere, of which only its results are known.</summary>
internal abstract class ModuleNetwork(string name) : Network(name)
{
    public override Linear Head => throw NotKnown("has no last layer to be named");

    public override bool IsInterpretable => false;

    public override T Features<T>(IOperators<T> op, T x) => throw NotKnown("gives logits, not features");

    public override T Logits<T>(IOperators<T> op, T x) => op is IOperators<Tensor>
        ? (T)(object)Seeded((Tensor)(object)x!)
        : throw NotKnown($"can be run, but not be read by {op.GetType().Name}");

    /// <summary>The module's dropout draws from the global generator, which a training run seeds for each pass from its own.</summary>
    private Tensor Seeded(Tensor x)
    {
        if (DropoutGenerator is not { } generator)
            return Compute(x);
        using var seed = empty(1, ScalarType.Int64).random_(0, int.MaxValue, generator);
        return GlobalGenerator.Seeded(seed.item<long>(), x.device, () => Compute(x));
    }

    /// <summary>[N, C, H, W] to [N, classes].</summary>
    protected abstract Tensor Compute(Tensor x);

    /// <exception cref="ArgumentException">The logits are not one for each class.</exception>
    protected void Check(Images.ImageShape shape, int classes)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        eval();
        var logits = Compute(zeros(1, shape.Channels, shape.Height, shape.Width));
        train();
        if (logits is null || !logits.shape.SequenceEqual([1, classes]))
        {
            throw new ArgumentException(
                $"The network {GetName()} gives [{string.Join(", ", logits?.shape ?? [])}] for an image of {shape}, but has to give [1, {classes}], a logit for each class.");
        }
    }

    private NotSupportedException NotKnown(string what) =>
        new($"The network {GetName()} {what}: what it is made of is not known, since it was made by a factory or loaded from TorchScript.");
}
