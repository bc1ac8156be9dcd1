namespace Microsoft.ML.Flooding;

/// <summary>How a network is trained: everything except the data. The options are checked when the trainer is created.</summary>
public class TrainingOptions
{
    internal const float DefaultFloodLevel = 0.03f;

    private const int DefaultEpochs = 60;

    /// <summary>
    /// The flood level b of Ishida et al. (ICML 2020): training minimizes |J - b| + b instead of the mini-batch loss J. Finite, at least
    /// 0; 0 is plain training. Levels from 0 to 0.10 suit clean labels, much higher levels suit noisy labels. Default: 0.03.
    /// </summary>
    public float FloodLevel { get; set; } = DefaultFloodLevel;

    /// <summary>
    /// What training minimizes: the flooded mean loss of the mini-batch, one of its successors, or a function of your own. Default:
    /// <see cref="FloodingObjective.Flood"/>.
    /// </summary>
    public FloodingObjective Objective { get; set; } = FloodingObjective.Flood;

    /// <summary>The network. Default: <see cref="Architecture.Auto"/>.</summary>
    public Architecture Architecture { get; set; } = Architecture.Auto;

    /// <summary>
    /// The path of a weights file to start from: safetensors, or written by torch.save (PyTorch 1.6 or later), with the parameter names
    /// of torchvision or timm. <see cref="PretrainedModels"/> lists files to download. The head is replaced if the number of classes
    /// differs. Images are preprocessed as for these weights (size, crop, mean and deviation). Default (null): random weights, drawn from
    /// the seed.
    /// </summary>
    public string? PretrainedWeights { get; set; }

    /// <summary>
    /// The number of epochs at the beginning, at least 0, in which only the last layer is trained. In these epochs the other layers work
    /// as in scoring: batch norm uses its running statistics, and there is no dropout. Without <see cref="Augmentation"/> their output is
    /// computed once and cached. If the value is <see cref="Epochs"/> or more, the other layers are never trained. Default: 0.
    /// </summary>
    public int FreezeBackboneEpochs { get; set; }

    /// <summary>
    /// The factor by which the learning rate decreases from each layer to the one before it, in (0, 1], so the early layers of a
    /// pretrained network change least (Howard and Ruder, ACL 2018, arXiv:1801.06146; Clark et al., ICLR 2020, arXiv:2003.10555).
    /// Default: 1, the same rate for all layers.
    /// </summary>
    public double LayerDecay { get; set; } = 1;

    /// <summary>
    /// Whether batch norm keeps its initial statistics and parameters. Use it for pretrained weights and few images. Default: false.
    /// </summary>
    public bool FreezeBatchNorm { get; set; }

    /// <summary>
    /// The number of passes over the training set, at least 1. Default (null): 60, or as many as <see cref="FineTuning"/> chooses.
    /// </summary>
    public int? Epochs { get; set; }

    /// <summary>
    /// How a network with pretrained weights (<see cref="PretrainedWeights"/>, <see cref="Architecture.FromOnnx"/>) is trained. It applies
    /// if you set none of <see cref="Epochs"/>, <see cref="FreezeBackboneEpochs"/>, <see cref="LayerDecay"/>,
    /// <see cref="FreezeBatchNorm"/>, <see cref="Augmentation"/>, <see cref="Schedule"/>, <see cref="EarlyStopping"/> and
    /// <see cref="FloodedImageClassificationTrainer.Options.FloodLevels"/>, which plan the training by hand, and if the
    /// <see cref="Objective"/> needs no auxiliary networks. All other options keep their
    /// effect; a <see cref="LearningRate"/> then is that of the last layer, for features of mean 0 and mean square 1. Default:
    /// <see cref="FineTuning.Automatic"/>.
    /// </summary>
    public FineTuning FineTuning { get; set; }

    /// <summary>The number of images in a mini-batch, at least 1. The last mini-batch of an epoch may be smaller. Default: 64.</summary>
    public int BatchSize { get; set; } = 64;

    /// <summary>
    /// The number of images of a mini-batch that are computed at a time, at least 1. Smaller parts take less memory and give the same
    /// gradient: the loss J that is compared with the flood level is that of the whole mini-batch. Batch norm is the exception: it uses
    /// the statistics of each part, unless <see cref="FreezeBatchNorm"/> is set; a part of a single image gets a second one. Needs an
    /// objective that is a mean over samples, so neither <see cref="FloodingObjective.ClassWise()"/> nor
    /// <see cref="FloodingObjective.FromFunction"/>. Default (null): the whole mini-batch.
    /// </summary>
    public int? MicroBatchSize { get; set; }

    /// <summary>
    /// The processes that train the network together, such as <see cref="Flooding.DataParallel.Mpi"/>. Each computes its share of every
    /// mini-batch of <see cref="BatchSize"/> images, at least two; the loss J that is compared with the flood level is that of the whole
    /// mini-batch. Every process runs the same program and returns the same model; the process of rank 0 logs, reports and writes files.
    /// Default (null): this process alone.
    /// </summary>
    /// <remarks>
    /// <para>
    /// Batch norm uses the statistics of each process's images; its running statistics are averaged after each epoch. Augmentation,
    /// mixup and dropout are drawn by each process for its images. A <see cref="Seed"/> that is not set is that of rank 0. Options and
    /// data that differ between the processes are an error that names the difference. <see cref="MetricsCallback"/> and
    /// <see cref="Callbacks"/> are called in the process of rank 0, and <see cref="StopToken"/> stops all processes if it is canceled in
    /// one.
    /// </para>
    /// <para>
    /// Needs an objective that is a mean over samples, so neither <see cref="FloodingObjective.ClassWise()"/> nor
    /// <see cref="FloodingObjective.FromFunction"/>, and a network that is trained as a whole: <see cref="FineTuning"/> must not apply. A
    /// run with <see cref="CheckpointDirectory"/>, which only rank 0 uses, continues with the same number of processes.
    /// </para>
    /// </remarks>
    public DataParallel? DataParallel { get; set; }

    /// <summary>Random changes to the training images, drawn anew each epoch. Default: <see cref="Augmentation.None"/>.</summary>
    public Augmentation Augmentation { get; set; } = Augmentation.None;

    /// <summary>The update rule. Default: <see cref="Optimizer.Sgd"/>.</summary>
    public Optimizer Optimizer { get; set; } = Optimizer.Sgd;

    /// <summary>
    /// Step size at the schedule's full rate, finite and greater than 0. Default (null): 0.02 for SGD, 0.001 for Adam and AdamW.
    /// </summary>
    public double? LearningRate { get; set; }

    /// <summary>How the learning rate changes over the run. Default: <see cref="LearningRateSchedule.Constant"/>.</summary>
    public LearningRateSchedule Schedule { get; set; } = LearningRateSchedule.Constant;

    /// <summary>Momentum of <see cref="Optimizer.Sgd"/>, in [0, 1). Default: 0.9.</summary>
    public double Momentum { get; set; } = 0.9;

    /// <summary>Whether to use Nesterov momentum. Needs a momentum above 0. Default: false.</summary>
    public bool Nesterov { get; set; }

    /// <summary>Weight decay (L2 penalty for SGD and Adam, decoupled for AdamW), finite and at least 0. Default: 0.</summary>
    public double WeightDecay { get; set; }

    /// <summary>
    /// Whether weight decay also applies to biases and normalization parameters, as in PyTorch's optimizers. Default: true.
    /// </summary>
    public bool DecayBiasAndNorm { get; set; } = true;

    /// <summary>
    /// The largest Euclidean norm of the whole gradient, finite and greater than 0. A longer gradient is scaled down to it. Default
    /// (null): no limit.
    /// </summary>
    public double? MaxGradientNorm { get; set; }

    /// <summary>
    /// How the weights are averaged during the run. Default (null): <see cref="Flooding.WeightAveraging.Exponential"/> if the
    /// <see cref="Objective"/> floods, <see cref="Flooding.WeightAveraging.None"/> otherwise (at a <see cref="FloodLevel"/> of 0).
    /// </summary>
    public WeightAveraging? WeightAveraging { get; set; }

    /// <summary>
    /// How validation data chooses the epoch whose weights become the model, and ends the training early. Default: a new
    /// <see cref="Flooding.EarlyStopping"/>, without effect if there is no validation data. null: all epochs are trained, and the model has
    /// the weights of the last one.
    /// </summary>
    public EarlyStopping? EarlyStopping { get; set; } = EarlyStopping.Default;

    /// <summary>The number format of the computation. Default: <see cref="Precision.Float32"/>.</summary>
    public Precision Precision { get; set; } = Precision.Float32;

    /// <summary>
    /// A folder for checkpoints. After each epoch the whole state of the run is written to it; the last two checkpoints are kept. A run
    /// with the same options and data continues from the newest checkpoint and ends with the same bits as an uninterrupted one. If
    /// options or images differ, the error says which. <see cref="Epochs"/> may differ if nothing but the end of the run depends on it: the
    /// <see cref="Schedule"/> is constant and <see cref="WeightAveraging"/> is None or has a decay. Default (null): none.
    /// </summary>
    public string? CheckpointDirectory { get; set; }

    /// <summary>
    /// Called after each epoch, on the training thread. An exception thrown here ends the training without a model. To end the training
    /// and keep the model, cancel the source of <see cref="StopToken"/>.
    /// </summary>
    public Action<EpochMetrics>? MetricsCallback { get; set; }

    /// <summary>
    /// Objects that are called before and after runs, epochs and steps; see <see cref="TrainingCallback"/> for what each call costs.
    /// Default: none.
    /// </summary>
    public IReadOnlyList<TrainingCallback> Callbacks { get; set; } = [];

    /// <summary>
    /// Ends the training early and keeps the model: <c>Fit</c> returns as if <see cref="Epochs"/> ended there. Cancel the token's source
    /// from the <see cref="MetricsCallback"/>, from <see cref="Callbacks"/>, from another thread or on Ctrl-C. The current step finishes,
    /// and the weights are validated and selected as at the end of a run. A search keeps the best run so far. With a
    /// <see cref="CheckpointDirectory"/>, a later <c>Fit</c> continues from the last complete epoch. If the token is canceled before
    /// training starts, <c>Fit</c> throws an <see cref="OperationCanceledException"/>. Default: none.
    /// </summary>
    public CancellationToken StopToken { get; set; }

    /// <summary>
    /// The seed of the initial weights, of the order of the images and of everything else that is random. The same seed gives the same
    /// model, bit for bit, on the same machine. Default (null): the seed of the MLContext, or a new seed each time if it has none.
    /// </summary>
    public int? Seed { get; set; }

    /// <summary>The averaging after defaults are applied.</summary>
    internal WeightAveraging EffectiveAveraging =>
        WeightAveraging ?? (Objective.IsPlainAt(FloodLevel) ? Flooding.WeightAveraging.None : Flooding.WeightAveraging.Exponential);

    /// <summary>The learning rate after defaults are applied.</summary>
    internal double EffectiveLearningRate => LearningRate ?? (Optimizer == Optimizer.Sgd ? 0.02 : 0.001);

    /// <summary>The number of epochs after defaults are applied.</summary>
    internal int EffectiveEpochs => Epochs ?? DefaultEpochs;

    /// <summary>Whether the training of pretrained weights is left to <see cref="FineTuning"/>.</summary>
    internal virtual bool IsLeftToFineTuning =>
        FineTuning != FineTuning.None && Epochs is null && FreezeBackboneEpochs == 0 && LayerDecay == 1 && !FreezeBatchNorm
        && Augmentation == Augmentation.None && Schedule == LearningRateSchedule.Constant && EarlyStopping == EarlyStopping.Default
        && Objective.AuxiliaryNetworks == 0;

    /// <summary>The metric of the user's own that epochs are measured by; null without one.</summary>
    internal virtual ValidationMetric? OwnMetric => EarlyStopping?.Metric is { Function: not null } metric ? metric : null;

    /// <summary>A copy with changes.</summary>
    internal TrainingOptions With(Action<TrainingOptions> change)
    {
        var copy = (TrainingOptions)MemberwiseClone();
        change(copy);
        return copy;
    }

    /// <summary>Throws for the first option that is out of its range.</summary>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range; the message names it and the range.</exception>
    internal virtual void Validate()
    {
        Require(float.IsFinite(FloodLevel) && FloodLevel >= 0, nameof(FloodLevel), FloodLevel, "finite and at least 0");
        ArgumentNullException.ThrowIfNull(Objective);
        ArgumentNullException.ThrowIfNull(Architecture);
        if (PretrainedWeights is not null)
            ArgumentException.ThrowIfNullOrWhiteSpace(PretrainedWeights);
        if (CheckpointDirectory is not null)
            ArgumentException.ThrowIfNullOrWhiteSpace(CheckpointDirectory);
        ArgumentNullException.ThrowIfNull(Schedule);
        ArgumentNullException.ThrowIfNull(Augmentation);
        if (Augmentation.MixupAlpha > 0 && !Objective.AllowsMixup)
            throw new ArgumentException(
                $"Mixup works with {nameof(FloodingObjective.Flood)}, {nameof(FloodingObjective.IndividualFlood)} and "
                + $"{nameof(FloodingObjective.SoftAscentDescent)}. It does not work with {Objective}, whose levels belong to a class or a "
                + "sample: a mixed image has two.", nameof(Objective));
        Require(Enum.IsDefined(FineTuning), nameof(FineTuning), FineTuning, "Automatic, AllLayers or None");
        if (FineTuning == FineTuning.AllLayers && !IsLeftToFineTuning)
            throw new ArgumentException(
                $"{nameof(FineTuning)} is {FineTuning.AllLayers}, but another option plans the training too. Unset {nameof(Epochs)}, "
                + $"{nameof(FreezeBackboneEpochs)}, {nameof(LayerDecay)}, {nameof(FreezeBatchNorm)}, {nameof(Augmentation)}, "
                + $"{nameof(Schedule)}, {nameof(EarlyStopping)} and FloodLevels, use an {nameof(Objective)} without auxiliary networks, or "
                + $"set {nameof(FineTuning)} to {FineTuning.None}.", nameof(FineTuning));
        Require(Epochs is null or >= 1, nameof(Epochs), Epochs, "at least 1");
        Require(FreezeBackboneEpochs >= 0, nameof(FreezeBackboneEpochs), FreezeBackboneEpochs, "at least 0");
        Require(LayerDecay is > 0 and <= 1, nameof(LayerDecay), LayerDecay, "in (0, 1]");
        Require(BatchSize >= 1, nameof(BatchSize), BatchSize, "at least 1");
        Require(MicroBatchSize is null or >= 1, nameof(MicroBatchSize), MicroBatchSize, "at least 1, or null");
        if (MicroBatchSize < BatchSize && !Objective.AllowsParts)
            throw new ArgumentException(
                $"{nameof(MicroBatchSize)} is set, but {Objective} needs all samples of a mini-batch at once. Unset it and lower "
                + $"{nameof(BatchSize)}, or choose another {nameof(Objective)}.", nameof(MicroBatchSize));
        if (DataParallel is not null && !Objective.AllowsParts)
            throw new ArgumentException(
                $"{nameof(DataParallel)} is set, but {Objective} needs all samples of a mini-batch in one process. Unset it, or choose "
                + $"another {nameof(Objective)}.", nameof(DataParallel));
        Require(Enum.IsDefined(Optimizer), nameof(Optimizer), Optimizer, "Sgd, Adam or AdamW");
        Require(Enum.IsDefined(Precision), nameof(Precision), Precision, "Float32, BFloat16 or Auto");
        Require(LearningRate is null or > 0 and < double.PositiveInfinity, nameof(LearningRate), LearningRate, "finite and greater than 0");
        Require(Momentum is >= 0 and < 1, nameof(Momentum), Momentum, "in [0, 1)");
        Require(!Nesterov || Momentum > 0, nameof(Nesterov), Nesterov, "set only with a Momentum above 0");
        Require(WeightDecay is >= 0 and < double.PositiveInfinity, nameof(WeightDecay), WeightDecay, "finite and at least 0");
        Require(
            MaxGradientNorm is null or > 0 and < double.PositiveInfinity, nameof(MaxGradientNorm), MaxGradientNorm,
            "finite and greater than 0, or null");
        Require(
            Schedule.WarmUpEpochs is >= 0 and < double.PositiveInfinity, "Schedule.WarmUpEpochs", Schedule.WarmUpEpochs,
            "finite and at least 0");
        Require(WeightAveraging?.Decay is null or >= 0 and < 1, "WeightAveraging.Decay", WeightAveraging?.Decay, "in [0, 1)");
        Require(EarlyStopping is null or { Patience: >= 1 }, "EarlyStopping.Patience", EarlyStopping?.Patience, "at least 1");
        Require(
            EarlyStopping is null or { MinimumChange: >= 0 and < double.PositiveInfinity }, "EarlyStopping.MinimumChange",
            EarlyStopping?.MinimumChange, "finite and at least 0");
        Require(EarlyStopping is null or { Metric: not null }, "EarlyStopping.Metric", null, "a metric, not null");
        ArgumentNullException.ThrowIfNull(Callbacks);
        Require(Callbacks.All(c => c is not null), nameof(Callbacks), null, "a list without null");
    }

    /// <summary>Throws that an option is out of its range.</summary>
    private protected static void Require(bool condition, string option, object? value, string range)
    {
        if (!condition)
            throw new ArgumentOutOfRangeException(option, value, $"Option {option} must be {range}.");
    }
}
