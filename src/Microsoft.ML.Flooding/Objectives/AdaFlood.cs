using Microsoft.ML.Flooding.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Objectives;

/// <summary>
/// The mean of |l - theta_i| + theta_i over the samples' losses l, with a level theta_i for each sample (Bae et al., "AdaFlood: Adaptive
/// Flood Regularization", TMLR 2024).
/// </summary>
/// <param name="levels">float32 [rows of the training set], on the device.</param>
internal sealed class AdaFlood(Tensor levels) : Objective
{
    public override Descent Of(BatchLoss loss)
    {
        var above = loss.PerSample - levels.index_select(0, loss.Rows);
        return new(loss.Average(above.abs()), above.sign().mean());
    }

    /// <summary>
    /// The level of each sample: the loss -ln((1 - gamma) p + gamma) of the auxiliary network's prediction. The correction toward the label
    /// makes up for that network's smaller training set.
    /// </summary>
    /// <param name="probabilities">
    /// float32 [N]: the probability p that a network gives to the label of a sample it was not trained on.
    /// </param>
    /// <param name="gamma">The correction, in [0, 1]: 0 keeps the prediction, 1 replaces it with the label.</param>
    public static Tensor Levels(Tensor probabilities, double gamma) =>
        // A label with a probability of 0 would have an infinite level, which would make the loss infinite.
        probabilities.Times(1 - gamma).Plus(gamma).AtLeast(1e-6).log().neg();
}
