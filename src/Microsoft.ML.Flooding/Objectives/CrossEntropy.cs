using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Objectives;

/// <summary>The mini-batch mean itself: plain training.</summary>
internal sealed class CrossEntropy : Objective
{
    public override (Tensor Minimised, Tensor? Flooded) Of(BatchLoss loss) => (loss.Mean, null);
}
