using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Objectives;

/// <summary>The mini-batch mean itself: plain training.</summary>
internal sealed class CrossEntropy : Objective
{
    public override Tensor Minimised(in BatchLoss loss) => loss.Mean;

    public override Tensor? Flooded(in BatchLoss loss) => null;
}
