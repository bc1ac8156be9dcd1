using Microsoft.ML.Flooding.Runtime;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Networks;

/// <summary>Folds a batch norm into the layer before it.</summary>
internal static class BatchNormFolding
{
    /// <summary>
    /// The weight and bias of a layer with the same output as the layer and its batch norm, in float64 so they are rounded once.
    /// </summary>
    public static (Tensor Weight, Tensor Bias) Fold(Tensor weight, Tensor? bias, BatchNorm norm)
    {
        var scale = norm.running_var!.to(ScalarType.Float64).Plus(norm.eps).rsqrt();
        if (norm.weight is not null)
            scale = scale.mul(norm.weight.to(ScalarType.Float64));
        var shift = norm.running_mean!.to(ScalarType.Float64).neg();
        if (bias is not null)
            shift = shift.Plus(bias.to(ScalarType.Float64));
        shift = shift.mul(scale);
        if (norm.bias is not null)
            shift = shift.Plus(norm.bias.to(ScalarType.Float64));
        long[] perOutput = [-1, .. Enumerable.Repeat(1L, (int)weight.ndim - 1)];
        return (weight.to(ScalarType.Float64).mul(scale.reshape(perOutput)), shift);
    }
}
