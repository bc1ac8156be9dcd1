using Microsoft.ML.Flooding.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Objectives;

/// <summary>
/// |J - b| + b on the mini-batch mean J (Ishida et al., "Do We Need Zero Training Loss After Achieving Zero Training Error?", ICML 2020):
/// gradient descent above the level b, ascent below it.
/// </summary>
internal sealed class Flood(double level) : Objective
{
    /// <summary>
    /// The gradient of |J - b| is the gradient of J times the sign of J - b. In this form, autograd does not differentiate the absolute
    /// value. That matters for small networks, where each additional operator on a scalar takes a noticeable part of a step.
    /// </summary>
    public override Descent Of(BatchLoss loss)
    {
        var minimised = loss.Weighted;
        var sign = DirectionAt(loss.Mean);
        return new(minimised, sign, sign);
    }

    /// <inheritdoc/>
    public override Tensor DirectionAt(Tensor mean)
    {
        using var _ = no_grad();
        return mean.Minus(level).sign();
    }

    /// <summary>The objective for a level. At 0 it is <see cref="CrossEntropy"/>: no loss is below 0.</summary>
    public static Objective At(double level) => level == 0 ? new CrossEntropy() : new Flood(level);
}
