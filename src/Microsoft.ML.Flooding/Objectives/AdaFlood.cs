using Microsoft.ML.Flooding.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Objectives;

/// <summary>
/// The mean of |l - theta_i| + theta_i with a level theta_i a sample (Bae et al., "AdaFlood: Adaptive Flood Regularization", TMLR 2024).
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
    /// A sample's level: the loss -ln((1 - gamma) p + gamma) of the auxiliary network's prediction, corrected towards the label since that
    /// network saw fewer samples.
    /// </summary>
    /// <param name="probabilities">float32 [N]: the probability p that a network gave to the label of a sample it was not trained on.</param>
    /// <param name="gamma">The correction, in [0, 1]: 0 leaves the prediction, 1 replaces it by the label.</param>
    public static Tensor Levels(Tensor probabilities, double gamma) =>
        // A label that was thought impossible would have an infinite level, and with it an infinite loss.
        probabilities.Times(1 - gamma).Plus(gamma).AtLeast(1e-6).log().neg();
}
