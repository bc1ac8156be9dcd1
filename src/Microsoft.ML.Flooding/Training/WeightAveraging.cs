namespace Microsoft.ML.Flooding;

/// <summary>
/// An exponential moving average of the weights along the training run (Polyak and Juditsky, 1992; as used by Izmailov et al., 2018), batch-norm
/// statistics included. Under the flood the weights walk over a set of equal loss: a single iterate is noisy, their average is not.
/// </summary>
public sealed record WeightAveraging
{
    /// <summary>
    /// The share of the average kept at each step, in [0, 1). Default (null): chosen from the length of the run so that the average spans its
    /// last tenth, 1 - 10 / steps, but never more than 0.9998.
    /// </summary>
    public double? Decay { get; init; }

    /// <summary>Whether weights are averaged at all; only <see cref="None"/> says no.</summary>
    public bool Enabled { get; private init; } = true;

    /// <summary>No averaging: the last weights (or, with early stopping, the best) are the model.</summary>
    public static WeightAveraging None { get; } = new() { Enabled = false };

    /// <summary>Averaging with the decay chosen from the length of the run.</summary>
    public static WeightAveraging Exponential { get; } = new();

    /// <summary>The decay of a run of <paramref name="totalSteps"/> steps at its step number <paramref name="step"/> (from 0).</summary>
    internal double DecayAt(long step, long totalSteps)
    {
        var decay = Decay ?? Math.Clamp(1 - 10.0 / totalSteps, 0, 0.9998);
        // The first iterates are far from anything worth averaging: the window grows with the run until it has its full length.
        return Math.Min(decay, (1.0 + step) / (10.0 + step));
    }
}
