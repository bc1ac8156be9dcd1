using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Scoring;

/// <summary>
/// A network's forward pass made ready for scoring: a list of steps over numbered values. Batch norm is folded into the layer before it,
/// weights lie as the device likes them, and every value is freed after its last use, so that the next one finds its memory in the cache.
/// Any number of threads may run it at once.
/// </summary>
internal sealed class InferencePlan(IReadOnlyList<InferencePlan.Step> steps, int values, IReadOnlyList<Tensor> weights) : IDisposable
{
    /// <summary>From [N, C, H, W] to what the last step gives.</summary>
    /// <param name="input">Freed after its first use.</param>
    /// <returns>A tensor of the caller's dispose scope.</returns>
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
                // An operator in place gives back what it was given.
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

    /// <summary>One operator.</summary>
    /// <param name="Compute">Reads values computed before.</param>
    /// <param name="Output">The number of the value it gives.</param>
    /// <param name="LastUses">The values that no later step reads.</param>
    internal readonly record struct Step(Func<Tensor[], Tensor> Compute, int Output, int[] LastUses);
}
