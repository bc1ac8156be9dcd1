using Microsoft.ML.Flooding.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Objectives;

/// <summary>
/// The sum over the classes c of a batch of n_c / N times |J_c - b_c| + b_c, with J_c the mean loss of the class's n_c samples (Aizawa et al.,
/// "Class-wise Flooding Regularization for Imbalanced Image Classification", 2025).
/// </summary>
/// <param name="levels">float32 [K]: the level of each class, on the device.</param>
internal sealed class ClassWise(Tensor levels) : Objective
{
    private readonly Tensor _classes = arange(levels.shape[0], device: levels.device);

    public override Descent Of(BatchLoss loss)
    {
        // n_c (J_c - b_c) is the sum of the class's excesses over b_c. A product with the one-hot labels sums them in the same order every
        // time, where index_add does not on a GPU.
        var above = loss.PerSample - levels.index_select(0, loss.Labels);
        var oneHot = loss.Labels.unsqueeze(1).eq(_classes).to(ScalarType.Float32);
        var sums = loss.Weigh(above).matmul(oneHot);
        return new(sums.abs().sum().Over(loss.PerSample.shape[0]), oneHot.matmul(sums.sign()).mean());
    }
}
