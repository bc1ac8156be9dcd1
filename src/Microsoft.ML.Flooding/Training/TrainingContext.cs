using TorchSharp;

namespace Microsoft.ML.Flooding;

/// <summary>
/// The run that a <see cref="TrainingCallback"/> follows. There is one for each run, and it stays the same object throughout.
/// </summary>
public sealed class TrainingContext
{
    private readonly TrainingCallback[] _callbacks;
    private torch.Tensor? _loss;

    internal TrainingContext(torch.nn.Module<torch.Tensor, torch.Tensor> network, TrainingOptions options, int stepsPerEpoch)
    {
        _callbacks = [.. options.Callbacks];
        Network = network;
        FloodLevel = options.FloodLevel;
        StepsPerEpoch = stepsPerEpoch;
        Epochs = options.EffectiveEpochs;
    }

    /// <summary>The flood level b of the run; 0 for plain training.</summary>
    public float FloodLevel { get; }

    /// <summary>
    /// The network in training, from [N, C, H, W] to logits [N, K]. Read its weights, but do not change it or its mode: a run would no
    /// longer continue from a checkpoint with the same bits.
    /// </summary>
    public torch.nn.Module<torch.Tensor, torch.Tensor> Network { get; }

    /// <summary>The steps of a whole epoch.</summary>
    public int StepsPerEpoch { get; }

    /// <summary>The epochs of the run if nothing ends it early.</summary>
    public int Epochs { get; }

    /// <summary>The number of the current epoch, from 1; at the start of a run, the number of epochs already trained.</summary>
    public int Epoch { get; internal set; }

    /// <summary>The number of steps that the run has taken, those before a checkpoint included.</summary>
    public long Step { get; internal set; }

    /// <summary>The learning rate of the current step, with the schedule's factor; 0 before the first step.</summary>
    public double LearningRate { get; internal set; }

    /// <summary>
    /// What the epochs of the run measured, in order; the last one is the current epoch in <see cref="TrainingCallback.OnEpochEnd"/>.
    /// </summary>
    public IReadOnlyList<EpochMetrics> Metrics { get; internal set; } = [];

    /// <summary>
    /// Reads the loss of the last mini-batch, without the flood term, from the device. This waits until the device has computed it: in each
    /// step it keeps a GPU from working ahead.
    /// </summary>
    /// <exception cref="InvalidOperationException">No step of the current epoch was taken yet, or the epoch is over.</exception>
    public float ReadLoss() => _loss?.item<float>()
        ?? throw new InvalidOperationException(
            $"There is no loss to read. Call {nameof(ReadLoss)} in {nameof(TrainingCallback.OnStepEnd)}; "
            + $"{nameof(Metrics)} has the mean loss of each epoch.");

    /// <summary>Sets the loss of the last mini-batch, which stays the caller's; null: none.</summary>
    internal void SetLoss(torch.Tensor? loss) => _loss = loss;

    /// <summary>Calls a method of every callback.</summary>
    internal void Notify(Action<TrainingCallback, TrainingContext> method)
    {
        if (_callbacks.Length == 0)
            return;
        using var scope = torch.NewDisposeScope();
        using var _ = torch.no_grad();
        foreach (var callback in _callbacks)
            method(callback, this);
    }
}
