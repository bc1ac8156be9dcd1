using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Networks;

/// <summary>Gradients of a scalar.</summary>
internal static class Gradient
{
    /// <summary>
    /// The gradients with respect to leaves, which have none in <c>grad</c> before or afterwards; zero where the scalar does not depend
    /// on a leaf.
    /// </summary>
    /// <param name="y">The scalar.</param>
    /// <param name="leaves">With respect to which.</param>
    /// <param name="direction">What the gradients are multiplied by, a scalar; null: 1.</param>
    /// <remarks>
    /// By <c>autograd.backward</c>: TorchSharp's <c>autograd.grad</c> does not catch exceptions of libtorch, so one for want of memory,
    /// or for a parameter that a module does not use, would end the process.
    /// </remarks>
    public static Tensor[] Of(Tensor y, Tensor[] leaves, Tensor? direction = null)
    {
        LinearLayer.Failure = null;
        try
        {
            autograd.backward([y], direction is null ? null : [direction], inputs: leaves);
            LinearLayer.Failure?.Throw();
            return [.. leaves.Select(leaf => leaf.grad ?? zeros_like(leaf))];
        }
        finally
        {
            foreach (var leaf in leaves)
                leaf.grad = null;
        }
    }
}
