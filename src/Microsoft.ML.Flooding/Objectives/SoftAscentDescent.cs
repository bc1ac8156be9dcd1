using Microsoft.ML.Flooding.Runtime;

namespace Microsoft.ML.Flooding.Objectives;

/// <summary>
/// theta + sigma^2 times the mean of rho((l - theta) / sigma) over the samples' losses l, with rho(u) = sqrt(1 + u^2) - 1 (Holland and
/// Nakatani, "Soft ascent-descent as a stable and flexible alternative to flooding", NeurIPS 2024). A sample near the level has a small
/// gradient.
/// </summary>
internal sealed class SoftAscentDescent(double theta, double sigma) : Objective
{
    public override Descent Of(BatchLoss loss)
    {
        var above = loss.PerSample.Minus(theta);
        // sigma^2 sqrt(1 + (a / sigma)^2) = sigma sqrt(sigma^2 + a^2).
        var minimised = loss.Average(above.square().Plus(sigma * sigma).sqrt()).Times(sigma);
        return new(minimised, above.sign().mean());
    }
}
