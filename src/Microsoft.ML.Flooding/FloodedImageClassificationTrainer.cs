using System.Globalization;
using Microsoft.ML.Data;
using Microsoft.ML.Flooding.Distribution;
using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Networks;
using Microsoft.ML.Flooding.Runtime;
using Microsoft.ML.Flooding.Scoring;
using Microsoft.ML.Flooding.Search;
using Microsoft.ML.Flooding.Training;
using Microsoft.ML.Runtime;
using Microsoft.ML.Trainers;
using Microsoft.ML.Transforms.Image;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding;

/// <summary>
/// Trains a network on images with the flooded objective |J - b| + b (Ishida et al., ICML 2020). Create it with
/// <c>mlContext.Transforms.FloodedImageClassification</c>.
/// </summary>
public sealed partial class FloodedImageClassificationTrainer
    : ITrainerEstimator<FloodedImageClassificationTransformer, FloodedImageClassificationModelParameters>
{
    private readonly IHostEnvironment _environment;
    private readonly Options _options;
    private readonly Ranks? _ranks;

    internal FloodedImageClassificationTrainer(IHostEnvironment environment, Options options)
    {
        ArgumentNullException.ThrowIfNull(options);
        options.Validate();
        _environment = environment;
        _options = options.Clone();
    }

    /// <summary>The trainer of one rank: rank 0 reports and writes files, and all stop together.</summary>
    private FloodedImageClassificationTrainer(FloodedImageClassificationTrainer trainer, Ranks ranks)
        : this(trainer._environment, trainer._options)
    {
        _ranks = ranks;
        _options.StopToken = ranks.StopToken;
        if (ranks.Rank > 0)
            (_options.MetricsCallback, _options.Callbacks, _options.CheckpointDirectory, _options.TensorBoardDirectory) =
                (null, [], null, null);
    }

    /// <summary>
    /// Says that the trainer needs no normalized features and no cached data. It normalizes the images itself and reads them once, before
    /// the first epoch (or once per epoch if <see cref="Options.CacheOnDisk"/> is false).
    /// </summary>
    public TrainerInfo Info { get; } = new(normalization: false, caching: false, supportValid: true, supportIncrementalTrain: true);

    /// <inheritdoc/>
    /// <exception cref="ArgumentException">
    /// The label or image column is missing or has the wrong type; the message says what to do.
    /// </exception>
    public SchemaShape GetOutputSchema(SchemaShape inputSchema)
    {
        ArgumentNullException.ThrowIfNull(inputSchema);
        var label = TrainingColumns.Check(inputSchema, _options);
        var columns = inputSchema.ToDictionary(c => c.Name);
        columns[_options.ScoreColumnName] = new SchemaShape.Column(
            _options.ScoreColumnName, SchemaShape.Column.VectorKind.Vector, NumberDataViewType.Single, false,
            ScoreAnnotations.ShapeOfScore(label));
        columns[_options.PredictedLabelColumnName] = new SchemaShape.Column(
            _options.PredictedLabelColumnName, SchemaShape.Column.VectorKind.Scalar, label.ItemType, true,
            ScoreAnnotations.ShapeOfPredictedLabel(label));
        return new SchemaShape(columns.Values);
    }

    /// <summary>Trains a network on the data.</summary>
    /// <param name="input">Rows with the label and the image column.</param>
    /// <returns>The trained transformer. Dispose of it when done.</returns>
    /// <exception cref="ArgumentException">A column is missing or has the wrong type, or an image has the wrong size.</exception>
    /// <exception cref="InvalidOperationException">
    /// There are no rows, an image cannot be read, a weight is negative or not finite, or training diverged: a loss or a weight of the
    /// network is no longer finite.
    /// </exception>
    /// <exception cref="InvalidDataException">
    /// The file of <see cref="TrainingOptions.PretrainedWeights"/> is malformed or belongs to another architecture.
    /// </exception>
    /// <exception cref="IOException">The file of <see cref="TrainingOptions.PretrainedWeights"/> cannot be read.</exception>
    /// <exception cref="OperationCanceledException">
    /// The execution of the MLContext was canceled, or <see cref="TrainingOptions.StopToken"/> was canceled before training began.
    /// </exception>
    public FloodedImageClassificationTransformer Fit(IDataView input) => Fit(input, (FloodedImageClassificationTransformer?)null);

    /// <summary>
    /// Trains a model further. It keeps its network, image size and normalization. The classes are those of the label column, followed by
    /// the model's classes that the column lacks. Classes are matched by value: a class that the model knows keeps what it learned.
    /// </summary>
    /// <param name="input">Rows with the label and the image column.</param>
    /// <param name="pretrained">
    /// A <see cref="FloodedImageClassificationTransformer"/>, or a chain that contains one, as Model.Load returns it. It is not changed.
    /// </param>
    /// <returns>The trained transformer, with its own network. Dispose of it when done.</returns>
    /// <exception cref="ArgumentException">
    /// The model contains no such transformer or has another architecture, image size or type of label values; or as with
    /// <see cref="Fit(IDataView)"/>.
    /// </exception>
    /// <exception cref="InvalidOperationException">
    /// There are no rows, an image cannot be read, or training diverged: a loss or a weight is no longer finite.
    /// </exception>
    /// <exception cref="ObjectDisposedException">The model was disposed of.</exception>
    /// <exception cref="OperationCanceledException">
    /// The execution of the MLContext was canceled, or <see cref="TrainingOptions.StopToken"/> was canceled before training began.
    /// </exception>
    public FloodedImageClassificationTransformer Fit(IDataView input, ITransformer pretrained)
    {
        ArgumentNullException.ThrowIfNull(pretrained);
        return Fit(input, FloodedImageClassificationTransformer.In(pretrained));
    }

    private FloodedImageClassificationTransformer Fit(IDataView input, FloodedImageClassificationTransformer? pretrained) =>
        OnRanks(trainer => trainer.Prepare(input, pretrained, trainer.Train));

    /// <summary>Does work with this trainer or, if processes train together, with that of this rank.</summary>
    private T OnRanks<T>(Func<FloodedImageClassificationTrainer, T> work)
    {
        if (_options.DataParallel is not { } parallel)
            return work(this);
        using var ranks = new Ranks(parallel.Group, _options.StopToken);
        var result = work(new FloodedImageClassificationTrainer(this, ranks));
        ranks.Complete();
        return result;
    }

    /// <summary>Checks and reads the data, and does what <paramref name="use"/> does with it.</summary>
    private T Prepare<T>(IDataView input, FloodedImageClassificationTransformer? pretrained, Func<Preparation, T> use)
    {
        ArgumentNullException.ThrowIfNull(input);
        ImageColumn.ThrowIfCachedAway(input, _options.FeatureColumnName);
        GetOutputSchema(SchemaShape.Create(input.Schema));
        var host = _environment.Register(nameof(FloodedImageClassificationTrainer));
        // What happens on rank 0 happens on all ranks.
        var log = _ranks is { Rank: > 0 } ? ((IHostEnvironment)new MLContext()).Register(nameof(FloodedImageClassificationTrainer)) : host;
        using var channel = log.Start("Training");
        using var progress = log.StartProgressChannel("Training");
        var device = DeviceSelection.Choose(_environment, channel, _ranks?.LocalRank ?? 0);
        _options.StopToken.ThrowIfCancellationRequested();
        TorchSettings.RequireDefaults();
        using var gradients = TorchSettings.WithGradients();
        using var scope = NewDisposeScope();

        var feature = input.Schema[_options.FeatureColumnName];
        var labels = LabelKeys.Of(input.Schema[_options.LabelColumnName]);
        using var start = pretrained is null
            ? StartingPoint.FromOptions(_options, labels, ImageColumn.Resizes(feature))
            : StartingPoint.FromModel(pretrained, labels, _options);
        var column = CreateColumn(feature, start, input, channel);
        var isFineTuned = start.IsPretrained && _options.IsLeftToFineTuning;
        if (_options.FineTuning == FineTuning.AllLayers && !isFineTuned)
            throw new ArgumentException(
                $"{nameof(_options.FineTuning)} is {FineTuning.AllLayers}, which needs pretrained weights and a network whose layers are "
                + $"known. Set {nameof(_options.PretrainedWeights)}, or an {nameof(_options.Architecture)} with weights such as "
                + $"{nameof(Architecture.FromOnnx)}. To train a model further, unset {nameof(_options.FineTuning)}.");
        if (isFineTuned && (_ranks is not null || _options.Cluster is not null))
        {
            var option = _ranks is null ? nameof(_options.Cluster) : nameof(_options.DataParallel);
            throw new ArgumentException(
                $"{option} is set, but {nameof(_options.FineTuning)} trains the last layer of pretrained weights, which one process does "
                + $"in seconds. Unset {option}, or set {nameof(_options.FineTuning)} to {FineTuning.None} to train the whole network.");
        }
        _ranks?.RequireSame(OptionsOfModel());
        using var images = new LoadedImages(log, input, column, labels, _options);
        var seed = ChooseSeed();
        var trainsAllLayers = _options.FineTuning == FineTuning.AllLayers;
        // Cross-validation needs no images of its own: all are trained on.
        var data = images.Split(seed, holdsOut: !isFineTuned || trainsAllLayers || _options.FitTemperature, channel);
        WarnOfHighLevel(labels, channel);

        var architecture = start.Architecture.Resolve(column.Shape);
        if (_options.ScoringEngine == ScoringEngine.OnnxRuntime)
            EngineSelection.RequireOnnxRuntime(architecture);
        var normalization = start.NormalizationFor(column.Shape.Channels) ?? MeasureNormalization(data);
        channel.Info(
            MessageSensitivity.None,
            $"Training {architecture.Name} on {data.TrainingRows.shape[0]} images of {column.Shape}, {start.Labels.Count} classes, "
            + FormattableString.Invariant($"flood level {_options.FloodLevel}."));
        void CheckAlive() => HostSettings.ThrowIfCanceled(host);
        using var cluster = _options.Cluster is null
            ? null
            : new ClusterExecutor(
                _options.Cluster, CheckAlive, text => channel.Warning(MessageSensitivity.None, text), _options.StopToken);
        var runs = new RunFactory(
            architecture, start.Labels.Count, data, normalization, device, _options.Precision.On(device), seed, CheckAlive, start.Load,
            Ranks: _ranks, Executor: cluster);
        if (_ranks is not null)
            channel.Info(MessageSensitivity.None, $"Training on {_ranks.Size} ranks, each with {get_num_threads()} threads.");
        var reporter = new ProgressReporter(channel, progress, _options.EffectiveEpochs, (double)_options.EffectiveEpochs * CountRuns());
        using var heldOut = new HeldOutPredictions(
            runs, _options, reporter.ReportAs, text => channel.Info(MessageSensitivity.None, text));
        runs = runs with { HeldOut = heldOut.Probabilities };
        _ranks?.AgreeToStop();
        _options.StopToken.ThrowIfCancellationRequested();

        using var heap = HeapRetention.ForTraining();
        return use(new Preparation(channel, reporter, start, isFineTuned, column, feature, images, normalization, runs));
    }

    /// <summary>Trains a network.</summary>
    private FloodedImageClassificationTransformer Train(Preparation preparation)
    {
        var (channel, reporter, start, isFineTuned, column, feature, images, normalization, runs) = preparation;
        // The weights go into a new network, as in loading, so that a fitted and a loaded model score with the same bits.
        var network = runs.CreateNetwork();
        try
        {
            if (start.Report is { } report)
                channel.Info(MessageSensitivity.None, $"Weights of '{_options.PretrainedWeights}': {report}");
            var history = isFineTuned ? FineTune(network, runs, channel, reporter)
                : _options.FloodLevels is { } levels ? SearchLevel(levels, network, runs, channel, reporter)
                : _options.Objective.Candidates.Count > 1 ? SearchObjective(network, runs, channel, reporter)
                : Train(network, runs, reporter);
            // Processors of different kinds round differently.
            _ranks?.Share(network.State().Select(s => s.Tensor));
            if (history.Stopped)
                channel.Info(
                    MessageSensitivity.None,
                    $"Training was stopped: the model has the weights of epoch {history.SelectedEpoch}.");
            var description = new ModelDescription
            {
                Architecture = runs.Architecture.Name,
                Shape = column.Shape,
                CenterCrop = column.CenterCrop,
                MaxPixels = column.MaxPixels,
                Normalization = normalization,
                Labels = start.Labels,
                FeatureColumn = _options.FeatureColumnName,
                FeatureKind = ImageColumn.KindOf(feature.Name, feature.Type),
                ScoreColumn = _options.ScoreColumnName,
                PredictedLabelColumn = _options.PredictedLabelColumnName,
                OnInvalidImage = _options.OnInvalidImage,
                ScoringPrecision = _options.ScoringPrecision,
                ScoringEngine = _options.ScoringEngine,
                FloodLevel = history.FloodLevel,
                Temperature = _options.FitTemperature ? FitTemperature(network, runs, channel) : 1,
                PretrainedWeights = start.Report,
                History = history with { SkippedImages = images.Skipped },
            };
            return new FloodedImageClassificationTransformer(_environment, network, description);
        }
        catch
        {
            network.Dispose();
            throw;
        }
    }

    private ImageColumn CreateColumn(DataViewSchema.Column feature, StartingPoint start, IDataView input, IChannel channel)
    {
        var column = ImageColumn.Create(
            feature, start.Width ?? _options.ImageWidth, start.Height ?? _options.ImageHeight, input, _options.MaxPixels, channel);
        if (feature.Type is ImageDataViewType)
            channel.Warning(MessageSensitivity.None, ImageColumn.LossOfBitmaps(feature.Name));
        return column with { CenterCrop = start.CenterCrop };
    }

    /// <summary>
    /// Without a seed each run draws a new one, but a run that continues from checkpoints needs the one that it began with.
    /// </summary>
    private long ChooseSeed()
    {
        var given = _options.Seed ?? HostSettings.SeedOf(_environment);
        var seed = given ?? DrawSeed();
        var first = _ranks is null ? seed : _ranks.Share(seed);
        return given ?? first;
    }

    private long DrawSeed()
    {
        var checkpoints = _options.CheckpointDirectory is not { } directory ? null
            : _options.FloodLevels is not null ? LevelSearch.PlainFolder(directory)
            : _options.Objective.Candidates.Count > 1 ? ObjectiveSearch.FirstFolder(directory)
            : directory;
        return checkpoints is { } folder && CheckpointStore.Peek(folder, RunIdentity.SeedKey) is { } begun
            ? long.Parse(begun, CultureInfo.InvariantCulture)
            : Random.Shared.Next();
    }

    /// <summary>The options that decide what the model is and are not in <see cref="RunIdentity"/>.</summary>
    private Dictionary<string, string> OptionsOfModel() => new()
    {
        [nameof(_options.FloodLevels)] = $"{_options.FloodLevels}",
        [nameof(_options.Objective)] = $"{_options.Objective}",
        [nameof(_options.FitTemperature)] = $"{_options.FitTemperature}",
        [nameof(_options.FeatureColumnName)] = _options.FeatureColumnName,
        [nameof(_options.ScoreColumnName)] = _options.ScoreColumnName,
        [nameof(_options.PredictedLabelColumnName)] = _options.PredictedLabelColumnName,
        [nameof(_options.OnInvalidImage)] = $"{_options.OnInvalidImage}",
        [nameof(_options.MaxPixels)] = $"{_options.MaxPixels}",
        [nameof(_options.ScoringPrecision)] = $"{_options.ScoringPrecision}",
        [nameof(_options.ScoringEngine)] = $"{_options.ScoringEngine}",
    };

    private void WarnOfHighLevel(LabelKeys labels, IChannel channel)
    {
        if (_options.FloodLevels is null && labels.Count > 1 && _options.FloodLevel >= Math.Log(labels.Count))
            channel.Warning(
                MessageSensitivity.None,
                FormattableString.Invariant(
                    $"The flood level {_options.FloodLevel} is at or above ln({labels.Count}) = {Math.Log(labels.Count):0.###}, the loss ")
                + "of guessing: nothing will be learned.");
    }

    /// <summary>An upper bound on the number of runs, those of auxiliary networks included.</summary>
    private int CountRuns() => _options.Objective.AuxiliaryNetworks
        + (_options.FloodLevels is { } levels ? levels.Values?.Count ?? FloodLevels.AdaptiveCount : _options.Objective.Candidates.Count);

    private static Normalization MeasureNormalization(TrainingData data)
    {
        var (mean, deviation) = data.Training.ChannelStatistics(data.TrainingRows);
        return new Normalization(mean.data<float>().ToArray(), deviation.data<float>().ToArray());
    }

    private static float FitTemperature(Network network, RunFactory runs, IChannel channel)
    {
        using var normalizer = runs.Normalization.On(runs.Device);
        network.to(runs.Device);
        var (logits, labels) = Inference.ComputeLogits(
            network, ScalarType.Float32, runs.Data.Validation!, runs.Data.ValidationRows!, normalizer, runs.Device, runs.CheckAlive);
        network.to(CPU);
        var temperature = Temperature.Fit(logits, labels, runs.Data.ValidationWeights?.index_select(0, runs.Data.ValidationRows!));
        channel.Info(MessageSensitivity.None, FormattableString.Invariant($"Temperature {temperature.Value:0.###}."));
        if (temperature.Warning is { } warning)
            channel.Warning(MessageSensitivity.None, warning);
        return (float)temperature.Value;
    }

    /// <summary>What is read and decided before a network is trained.</summary>
    private sealed record Preparation(
        IChannel Channel, ProgressReporter Reporter, StartingPoint Start, bool IsFineTuned, ImageColumn Column,
        DataViewSchema.Column Feature, LoadedImages Images, Normalization Normalization, RunFactory Runs);
}
