using Microsoft.ML.Flooding.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Objectives;

/// <summary>
/// |J - b| + b on the mini-batch mean J (Ishida et al., "Do We Need Zero Training Loss After Achieving Zero Training Error?", ICML 2020):
/// descent above the level b, ascent below it.
/// </summary>
internal sealed class Flood(double level) : Objective
{
    /// <summary>
    /// The gradient of |J - b| is that of J times the sign of J - b. Taken so, none of it need be differentiated: among the matrices of a small network's
    /// step each operator on a scalar costs what it takes to bring its code into the caches.
    /// </summary>
    public override Descent Of(BatchLoss loss)
    {
        var minimised = loss.Weighted;
        using var _ = no_grad();
        var sign = loss.Mean.Minus(level).sign();
        return new(minimised, sign, sign);
    }

    /// <summary>The objective of a level: at zero the cross-entropy never falls below it, and the extra operations are spared.</summary>
    public static Objective At(double level) => level == 0 ? new CrossEntropy() : new Flood(level);
}
