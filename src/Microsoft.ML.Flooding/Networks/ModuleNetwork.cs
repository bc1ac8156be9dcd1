using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Runtime;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Networks;

/// <summary>A module from outside the library. Its layers are unknown; it can only be called.</summary>
internal abstract class ModuleNetwork(string name) : Network(name)
{
    public override Linear Head => throw NotKnown("does not have a known last layer");

    public override bool IsInterpretable => false;

    public override T Features<T>(IOperators<T> op, T x) => throw NotKnown("returns logits, not features");

    public override T Logits<T>(IOperators<T> op, T x) => op is IOperators<Tensor>
        ? (T)(object)Seeded((Tensor)(object)x!)
        : throw NotKnown($"can be called, but not read by {op.GetType().Name}");

    /// <summary>
    /// Calls the module. Its dropout draws from the global generator, which is seeded from the run's generator for each call.
    /// </summary>
    private Tensor Seeded(Tensor x)
    {
        if (DropoutGenerator is not { } generator)
            return Compute(x);
        using var seed = empty(1, ScalarType.Int64).random_(0, int.MaxValue, generator);
        return GlobalGenerator.Seeded(seed.item<long>(), x.device, () => Compute(x));
    }

    /// <summary>[N, C, H, W] to [N, classes].</summary>
    protected abstract Tensor Compute(Tensor x);

    /// <summary>Checks the shape of the result.</summary>
    /// <exception cref="ArgumentException">The module does not return one logit for each class.</exception>
    protected void Check(ImageShape shape, int classes)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        eval();
        var logits = Compute(zeros(1, shape.Channels, shape.Height, shape.Width));
        train();
        if (logits is null || !logits.shape.SequenceEqual([1, classes]))
        {
            throw new ArgumentException(
                $"The network '{GetName()}' returns [{string.Join(", ", logits?.shape ?? [])}] for an image of {shape}. It must return "
                + $"[1, {classes}], a logit for each class.");
        }
    }

    private NotSupportedException NotKnown(string what) =>
        new($"The network '{GetName()}' {what}: its layers are unknown because a factory created it or it was loaded from TorchScript.");
}
