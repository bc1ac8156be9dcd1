namespace Microsoft.ML.Flooding.Training;

/// <summary>Why a run cannot continue: a loss or a weight is no longer finite.</summary>
/// <param name="Message">Where it happened, and what to do.</param>
/// <param name="LowestBatchLoss">The lowest mini-batch loss of the epoch before it happened; infinity if there is none.</param>
internal sealed record Divergence(string Message, float LowestBatchLoss)
{
    /// <summary>Checks the losses and weights that the steps of an epoch leave.</summary>
    /// <returns>Null if all are finite.</returns>
    public static Divergence? FindInSteps(EpochSteps steps, TrainingState state, TrainingOptions options)
    {
        var step = Array.FindIndex(steps.Losses, l => !float.IsFinite(l));
        if (step >= 0)
            return Create(steps, steps.Losses[..step], $"the loss of step {step + 1} of {steps.Planned} is {steps.Losses[step]}", options);
        // A norm is also infinite if all weights are finite but huge.
        var name = (float.IsFinite(steps.WeightNorm) ? null : state.Weights.FirstNotFinite(state.Weights.All))
            ?? (float.IsFinite(steps.AverageNorm ?? 0) ? null : state.Weights.FirstNotFinite(state.Average!.Values));
        return name is null
            ? null
            : Create(steps, steps.Losses, $"after step {steps.Losses.Length} of {steps.Planned}, '{name}' is no longer finite", options);
    }

    /// <summary>Checks the validation losses after an epoch.</summary>
    /// <returns>Null if both are finite or missing.</returns>
    public static Divergence? FindInValidation(EpochSteps steps, Evaluation? raw, Evaluation? averaged, TrainingOptions options)
    {
        if (raw is { Loss: var loss } && !double.IsFinite(loss))
            return Create(steps, steps.Losses, $"the validation loss is {loss}", options);
        return averaged is { Loss: var averagedLoss } && !double.IsFinite(averagedLoss)
            ? Create(steps, steps.Losses, $"the validation loss of the averaged weights is {averagedLoss}", options)
            : null;
    }

    private static Divergence Create(EpochSteps steps, float[] finiteLosses, string what, TrainingOptions options)
    {
        // Of the options that can make a run diverge, those that are set.
        var causes = new List<(string Option, double Value)> { (nameof(options.LearningRate), options.EffectiveLearningRate) };
        if (options.WeightDecay > 0)
            causes.Add((nameof(options.WeightDecay), options.WeightDecay));
        // Below a level that high there is ascent only.
        if (options.FloodLevel >= 1)
            causes.Add((nameof(options.FloodLevel), options.FloodLevel));
        var lower = string.Join(" or ", causes.Select(c => FormattableString.Invariant($"{c.Option} (now {c.Value})")));
        return new Divergence(
            $"Training diverged in epoch {steps.Epoch}: {what}. Lower {lower}, set {nameof(options.MaxGradientNorm)}, or look for extreme "
            + "pixel values.",
            finiteLosses.DefaultIfEmpty(float.PositiveInfinity).Min());
    }
}
