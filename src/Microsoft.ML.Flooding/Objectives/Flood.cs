using Microsoft.ML.Flooding.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Objectives;

/// <summary>
/// |J - b| + b on the mini-batch mean J (Ishida et al., "Do We Need Zero Training Loss After Achieving Zero Training Error?", ICML 2020):
/// descent above the level b, ascent below it.
/// </summary>
internal sealed class Flood(double level) : Objective
{
    public override (Tensor Minimised, Tensor? Flooded) Of(BatchLoss loss)
    {
        var above = loss.Mean.Minus(level);
        return (above.abs(), ShareBelowZero(above));
    }

    /// <summary>The objective of a level: at zero the cross-entropy never falls below it, and the extra operations are spared.</summary>
    public static Objective At(double level) => level == 0 ? new CrossEntropy() : new Flood(level);
}
