using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Networks;

/// <summary>Gradients of a scalar.</summary>
internal static class Gradient
{
    /// <summary>
    /// The gradients with respect to leaf tensors, whose <c>grad</c> must be empty and is empty again afterward. The gradient is zero if
    /// the scalar does not depend on a leaf.
    /// </summary>
    /// <param name="y">The scalar.</param>
    /// <param name="leaves">The leaf tensors.</param>
    /// <param name="direction">A scalar that the gradients are multiplied by. Null means 1.</param>
    /// <remarks>
    /// Uses <c>autograd.backward</c> because TorchSharp's <c>autograd.grad</c> does not catch libtorch's exceptions. Too little memory, or
    /// a parameter that a module does not use, would end the process.
    /// </remarks>
    public static Tensor[] Of(Tensor y, Tensor[] leaves, Tensor? direction = null) => OfSum([(y, direction)], leaves);

    /// <summary>The gradients of a sum. Only one of its terms is needed at a time.</summary>
    /// <param name="terms">The terms, each with a scalar that its gradients are multiplied by. Null means 1.</param>
    /// <param name="leaves">The leaf tensors.</param>
    public static Tensor[] OfSum(IEnumerable<(Tensor Value, Tensor? Factor)> terms, Tensor[] leaves)
    {
        LinearLayer.Failure = null;
        try
        {
            // libtorch adds to the gradients that are there.
            foreach (var (value, factor) in terms)
            {
                autograd.backward([value], factor is null ? null : [factor], inputs: leaves);
                LinearLayer.Failure?.Throw();
            }
            return [.. leaves.Select(leaf => leaf.grad ?? zeros_like(leaf))];
        }
        finally
        {
            foreach (var leaf in leaves)
                leaf.grad = null;
        }
    }
}
