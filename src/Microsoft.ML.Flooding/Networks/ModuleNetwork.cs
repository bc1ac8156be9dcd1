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
        ? (T)(object)Compute((Tensor)(object)x!)
        : throw NotKnown($"can be run, but not be read by {op.GetType().Name}");

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
