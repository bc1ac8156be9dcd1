using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Scoring;

/// <summary>
/// A network's forward pass, prepared for scoring: a list of steps over numbered values. Batch norm is folded into the preceding layer,
/// weights have the layout that the device prefers, and each value is freed after its last use, so that the next value reuses memory in the
/// CPU cache. Thread-safe.
/// </summary>
internal sealed class InferencePlan(IReadOnlyList<InferencePlan.Step> steps, int values, IReadOnlyList<Tensor> weights) : IDisposable
{
    /// <summary>Computes the result of the last step from images [N, C, H, W].</summary>
    /// <param name="input">The images. They are disposed of after their last use.</param>
    /// <returns>A tensor in the caller's dispose scope.</returns>
    public Tensor Run(Tensor input)
    {
        var computed = new Tensor[values];
        computed[0] = input;
        var last = input;
        foreach (var step in steps)
        {
            last = computed[step.Output] = step.Compute(computed);
            foreach (var dead in step.LastUses)
            {
                // An in-place operator returns its input.
                if (!ReferenceEquals(computed[dead], last))
                    computed[dead].Dispose();
            }
        }
        return last;
    }

    public void Dispose()
    {
        foreach (var weight in weights)
            weight.Dispose();
    }

    /// <summary>One step of the plan.</summary>
    /// <param name="Compute">Computes the step from the values of earlier steps.</param>
    /// <param name="Output">The number of the value that the step computes.</param>
    /// <param name="LastUses">The numbers of the values that no later step reads.</param>
    internal readonly record struct Step(Func<Tensor[], Tensor> Compute, int Output, int[] LastUses);
}
