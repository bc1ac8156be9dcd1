namespace Microsoft.ML.Flooding.Objectives;

/// <summary>
/// Any objective on the losses of labels of which a share s is wrong: -ln((1 - s) p + s (1 - p) / (K - 1)), where p is the probability of
/// the label. It is the likelihood of the labels if a wrong label is one of the K - 1 other classes with equal probability (the forward
/// correction of Patrini et al., "Making Deep Neural Networks Robust to Label Noise", CVPR 2017). The probabilities p are those of the true
/// classes.
/// </summary>
/// <param name="share">s, at least 0 and below 1 - 1 / K.</param>
/// <param name="classes">K, at least 2.</param>
/// <param name="inner">What is minimized with these losses.</param>
internal sealed class NoisyLabels(double share, int classes, Objective inner) : Objective
{
    public override Descent Of(BatchLoss loss)
    {
        var other = share / (classes - 1);
        return inner.Of(loss.Map(losses => losses.neg().exp().mul(1 - share - other).add(other).log().neg()));
    }
}
