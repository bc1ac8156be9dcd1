using Microsoft.ML.Flooding.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Objectives;

/// <summary>A user's function of the samples' losses, flooded at a level or as it is.</summary>
/// <param name="name">Names the function in errors.</param>
/// <param name="function">From the weighted losses, float32 [N], to a float32 scalar.</param>
/// <param name="level">The flood level; null: none.</param>
internal sealed class FunctionObjective(string name, Func<Tensor, Tensor> function, double? level) : Objective
{
    public override Descent Of(BatchLoss loss)
    {
        var value = function(loss.Weigh(loss.PerSample));
        if (value is not { dtype: ScalarType.Float32, requires_grad: true } || value.dim() != 0)
            throw new InvalidOperationException(
                $"The function of the objective '{name}' returned {Describe(value)}. It must return a float32 scalar that is computed from the "
                + "losses with tensor operations, such as losses.mean().");
        if (level is not { } b)
            return new(value);
        using var _ = no_grad();
        var sign = value.Minus(b).sign();
        return new(value, sign, sign);
    }

    private static string Describe(Tensor? value) => value is null ? "null"
        : $"a {value.dtype} tensor of shape [{string.Join(", ", value.shape)}]" + (value.requires_grad ? "" : " without a gradient");
}
