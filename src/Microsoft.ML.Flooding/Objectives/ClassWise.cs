using Microsoft.ML.Flooding.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Objectives;

/// <summary>
/// The sum over the classes c of a batch of n_c / N times |J_c - b_c| + b_c, where J_c is the mean loss of the n_c samples of the class
/// (Aizawa et al., "Class-wise Flooding Regularization for Imbalanced Image Classification", 2025).
/// </summary>
/// <param name="levels">float32 [K]: the level of each class, on the device.</param>
internal sealed class ClassWise(Tensor levels) : Objective
{
    private readonly Tensor _classes = arange(levels.shape[0], device: levels.device);

    public override Descent Of(BatchLoss loss)
    {
        // n_c (J_c - b_c) is the sum of l - b_c over the samples of the class. A product with the one-hot labels sums in the same order
        // every time; index_add on a GPU does not.
        var above = loss.PerSample - levels.index_select(0, loss.Labels);
        var oneHot = loss.Labels.unsqueeze(1).eq(_classes).to(ScalarType.Float32);
        var sums = loss.Weigh(above).matmul(oneHot);
        return new(sums.abs().sum().Over(loss.PerSample.shape[0]), oneHot.matmul(sums.sign()).mean());
    }
}
