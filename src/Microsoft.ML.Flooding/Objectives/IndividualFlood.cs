using Microsoft.ML.Flooding.Runtime;

namespace Microsoft.ML.Flooding.Objectives;

/// <summary>
/// The mean of |l - b| + b over the samples' losses l (Xie et al., "iFlood: A Stable and Effective Regularizer", ICLR 2022).
/// </summary>
internal sealed class IndividualFlood(double level) : Objective
{
    public override Descent Of(BatchLoss loss)
    {
        var above = loss.PerSample.Minus(level);
        return new(loss.Average(above.abs()), above.sign().mean());
    }
}
