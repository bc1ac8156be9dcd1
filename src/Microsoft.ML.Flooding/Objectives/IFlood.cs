using Microsoft.ML.Flooding.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Objectives;

/// <summary>The mean of |l - b| + b over the samples' losses l (Xie et al., "iFlood: A Stable and Effective Regularizer", ICLR 2022).</summary>
internal sealed class IFlood(double level) : Objective
{
    public override (Tensor Minimised, Tensor? Flooded) Of(BatchLoss loss)
    {
        var above = loss.PerSample.Minus(level);
        return (above.abs().mean(), ShareBelowZero(above));
    }
}
