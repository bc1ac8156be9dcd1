namespace Microsoft.ML.Flooding;

/// <summary>
/// Follows the training: override the methods that you need and add an instance to <see cref="TrainingOptions.Callbacks"/>. To end the
/// training and keep the model, cancel the source of <see cref="TrainingOptions.StopToken"/>.
/// </summary>
/// <remarks>
/// <para>
/// The methods are called on the thread that trains, which waits for them. An exception ends the training and reaches the caller of Fit;
/// checkpoints that were saved remain. Methods run without gradients. Tensors that a method creates are disposed of when it returns,
/// unless it detaches them with <c>DetachFromDisposeScope</c>.
/// </para>
/// <para>
/// A search over <see cref="FloodLevels"/> calls the methods for the run of each level, and the runs overlap: a level starts in the
/// middle of the plain run, from an epoch of that run. Tell them apart by their <see cref="TrainingContext"/>, which each run has one of.
/// The auxiliary networks of an <see cref="TrainingOptions.Objective"/> are trained without callbacks.
/// </para>
/// </remarks>
public abstract class TrainingCallback
{
    /// <summary>Called before the first epoch of a run, or the first one after a checkpoint.</summary>
    public virtual void OnRunStart(TrainingContext context)
    {
    }

    /// <summary>Called before the steps of an epoch.</summary>
    public virtual void OnEpochStart(TrainingContext context)
    {
    }

    /// <summary>
    /// Called before a step. The call itself costs nothing to speak of; what the method computes delays every step.
    /// </summary>
    public virtual void OnStepStart(TrainingContext context)
    {
    }

    /// <summary>
    /// Called after a step has updated the weights. The call does not wait for the device, so a GPU stays busy.
    /// <see cref="TrainingContext.ReadLoss"/> waits, and so does any other reading of a tensor: do it every hundredth step, not in each.
    /// </summary>
    public virtual void OnStepEnd(TrainingContext context)
    {
    }

    /// <summary>
    /// Called after an epoch was trained and validated and its checkpoint saved, and after <see cref="TrainingOptions.MetricsCallback"/>.
    /// The device is idle then, and reading from it costs little. Not called for an epoch in which the run diverged.
    /// </summary>
    public virtual void OnEpochEnd(TrainingContext context)
    {
    }

    /// <summary>
    /// Called once a run has ended and the network has the selected weights. Not called if the run diverged or an exception ended it.
    /// </summary>
    public virtual void OnRunEnd(TrainingContext context)
    {
    }
}
