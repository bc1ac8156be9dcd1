using System.Globalization;
using Microsoft.ML.Data;
using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Networks;
using Microsoft.ML.Flooding.Reports;
using Microsoft.ML.Flooding.Runtime;
using Microsoft.ML.Flooding.Scoring;
using Microsoft.ML.Flooding.Search;
using Microsoft.ML.Flooding.Training;
using Microsoft.ML.Runtime;
using Microsoft.ML.Transforms;
using Microsoft.ML.Transforms.Image;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding;

/// <summary>
/// Trains a convolutional network on images with the flooded objective |J - b| + b (Ishida et al., ICML 2020). Create it with
/// <c>mlContext.Transforms.FloodedImageClassification</c>.
/// </summary>
public sealed partial class FloodedImageClassificationTrainer : IEstimator<FloodedImageClassificationTransformer>
{
    private const int MostClassesNamed = 10;

    private readonly IHostEnvironment _environment;
    private readonly Options _options;

    internal FloodedImageClassificationTrainer(IHostEnvironment environment, Options options)
    {
        ArgumentNullException.ThrowIfNull(options);
        options.Validate();
        _environment = environment;
        _options = options.Clone();
    }

    /// <inheritdoc/>
    /// <exception cref="ArgumentException">The label or image column is missing or of the wrong type; the message says what to do.</exception>
    public SchemaShape GetOutputSchema(SchemaShape inputSchema)
    {
        ArgumentNullException.ThrowIfNull(inputSchema);
        var label = Find(inputSchema, _options.LabelColumnName, nameof(Options.LabelColumnName));
        if (!label.IsKey || label.Kind != SchemaShape.Column.VectorKind.Scalar)
            throw new ArgumentException($"The label column '{label.Name}' must be a key; it is {label.GetTypeString()}. {LabelKeys.Remedy(label.Name)}");
        ImageColumn.CheckType(Find(inputSchema, _options.FeatureColumnName, nameof(Options.FeatureColumnName)));
        if (_options.ExampleWeightColumnName is { } weight)
            CheckWeight(Find(inputSchema, weight, nameof(Options.ExampleWeightColumnName)));
        if (_options.SamplingKeyColumnName is { } samplingKey)
            CheckSamplingKey(Find(inputSchema, samplingKey, nameof(Options.SamplingKeyColumnName)));
        var columns = inputSchema.ToDictionary(c => c.Name);
        columns[_options.ScoreColumnName] = new SchemaShape.Column(_options.ScoreColumnName, SchemaShape.Column.VectorKind.Vector,
            NumberDataViewType.Single, false, ScoreAnnotations.ShapeOfScore(label));
        columns[_options.PredictedLabelColumnName] = new SchemaShape.Column(_options.PredictedLabelColumnName, SchemaShape.Column.VectorKind.Scalar,
            label.ItemType, true, ScoreAnnotations.ShapeOfPredictedLabel(label));
        return new SchemaShape(columns.Values);
    }

    /// <summary>Trains a network on the data.</summary>
    /// <param name="input">Rows with the label and the image column.</param>
    /// <returns>The trained transformer; dispose of it when done.</returns>
    /// <exception cref="ArgumentException">A column is missing or of the wrong type, or an image is of the wrong size.</exception>
    /// <exception cref="InvalidOperationException">
    /// There are no rows, an image cannot be read, a weight is negative or not finite, or training diverged: the loss or a weight of the
    /// network is no longer finite.
    /// </exception>
    /// <exception cref="InvalidDataException">The file of <see cref="TrainingOptions.PretrainedWeights"/> is malformed, or of another architecture.</exception>
    /// <exception cref="IOException">The file of <see cref="TrainingOptions.PretrainedWeights"/> cannot be read.</exception>
    /// <exception cref="OperationCanceledException">
    /// The MLContext's execution was cancelled, or <see cref="TrainingOptions.StopToken"/> before training began.
    /// </exception>
    public FloodedImageClassificationTransformer Fit(IDataView input) => Fit(input, (FloodedImageClassificationTransformer?)null);

    /// <summary>
    /// Trains a model further. Its network, image size and normalisation are kept. The classes are those of the label column, with those of the
    /// model that the column does not have behind: a class that the model knows, by its value, keeps what it learned.
    /// </summary>
    /// <param name="input">Rows with the label and the image column.</param>
    /// <param name="pretrained">
    /// A <see cref="FloodedImageClassificationTransformer"/>, or a chain that holds one, as Model.Load returns it. It stays as it is.
    /// </param>
    /// <returns>The trained transformer, with a network of its own; dispose of it when done.</returns>
    /// <exception cref="ArgumentException">
    /// The model holds no such transformer or has another architecture, image size or type of label values; or as with <see cref="Fit(IDataView)"/>.
    /// </exception>
    /// <exception cref="InvalidOperationException">
    /// There are no rows, an image cannot be read, or training diverged: a loss or a weight is no longer finite.
    /// </exception>
    /// <exception cref="ObjectDisposedException">The model was disposed of.</exception>
    /// <exception cref="OperationCanceledException">
    /// The MLContext's execution was cancelled, or <see cref="TrainingOptions.StopToken"/> before training began.
    /// </exception>
    public FloodedImageClassificationTransformer Fit(IDataView input, ITransformer pretrained)
    {
        ArgumentNullException.ThrowIfNull(pretrained);
        return Fit(input, FloodedImageClassificationTransformer.In(pretrained));
    }

    private FloodedImageClassificationTransformer Fit(IDataView input, FloodedImageClassificationTransformer? pretrained)
    {
        ArgumentNullException.ThrowIfNull(input);
        ImageColumn.ThrowIfCachedAway(input, _options.FeatureColumnName);
        GetOutputSchema(SchemaShape.Create(input.Schema));
        var host = _environment.Register(nameof(FloodedImageClassificationTrainer));
        using var channel = host.Start("Training");
        using var progress = host.StartProgressChannel("Training");
        var device = DeviceSelection.Choose(_environment, channel);
        void CheckAlive() => HostSettings.ThrowIfCanceled(host);
        _options.StopToken.ThrowIfCancellationRequested();
        TorchSettings.RequireDefaults();
        using var gradients = TorchSettings.WithGradients();
        using var scope = NewDisposeScope();

        var feature = input.Schema[_options.FeatureColumnName];
        var labels = LabelKeys.Of(input.Schema[_options.LabelColumnName]);
        using var start = pretrained is not null ? StartingPoint.Of(pretrained, labels, _options) : StartingPoint.Of(labels, ImageColumn.Resizes(feature), _options);
        var column = ImageColumn.Create(
            feature, start.Width ?? _options.ImageWidth, start.Height ?? _options.ImageHeight, input, _options.MaxPixels, channel);
        column = column with { CenterCrop = start.CenterCrop };
        if (feature.Type is ImageDataViewType)
            channel.Warning(MessageSensitivity.None, ImageColumn.LossOfBitmaps(feature.Name));
        var skipped = new List<SkippedImage>();
        using var images = Load(host, input, column, _options.SamplingKeyColumnName, skipped.Add);
        using var validationImages =
            _options.ValidationSet is { } validationSet ? LoadValidation(host, validationSet, column, labels, skipped) : null;
        var seed = ChooseSeed();
        var fraction = _options.ValidationSetFraction ?? 0;
        var data = TrainingData.Of(images, validationImages, fraction, _options.ClassWeights, labels.Count, seed);
        Warn(channel, labels, data);

        var architecture = start.Architecture.Resolve(column.Shape);
        var description = new ModelDescription
        {
            Architecture = architecture.Name,
            Shape = column.Shape,
            CenterCrop = column.CenterCrop,
            MaxPixels = column.MaxPixels,
            Normalization = start.NormalizationFor(column.Shape.Channels) ?? NormalizationOf(data),
            Labels = start.Labels,
            FeatureColumn = _options.FeatureColumnName,
            ScoreColumn = _options.ScoreColumnName,
            PredictedLabelColumn = _options.PredictedLabelColumnName,
            OnInvalidImage = _options.OnInvalidImage,
            ScoringPrecision = _options.ScoringPrecision,
            FloodLevel = _options.FloodLevel,
            History = new TrainingHistory([], 0, false) { SkippedImages = skipped },
        };
        channel.Info(MessageSensitivity.None,
            $"Training {architecture.Name} on {data.TrainingRows.shape[0]} images of {column.Shape}, {start.Labels.Count} classes, flood level {_options.FloodLevel}.");
        var runs = new RunFactory(
            architecture, start.Labels.Count, data, description.Normalization, device, _options.Precision.On(device), seed, CheckAlive, start.Load);
        _options.StopToken.ThrowIfCancellationRequested();
        return Train(description, runs, start, channel, progress);
    }

    private FloodedImageClassificationTransformer Train(
        ModelDescription description, RunFactory runs, StartingPoint start, IChannel channel, IProgressChannel progress)
    {
        using var heap = HeapRetention.ForTraining();
        // A fresh network is what a loaded model has as well, so that both score with the same bits.
        var trained = runs.CreateNetwork();
        try
        {
            if (start.Report is { } report)
            {
                channel.Info(MessageSensitivity.None, $"Weights of '{_options.PretrainedWeights}': {report}");
                description = description with { PretrainedWeights = report };
            }
            return new FloodedImageClassificationTransformer(_environment, trained, TrainInto(trained, description, runs, channel, progress));
        }
        catch
        {
            trained.Dispose();
            throw;
        }
    }

    private static Normalization NormalizationOf(TrainingData data)
    {
        var (mean, deviation) = data.Training.ChannelStatistics(data.TrainingRows);
        return new Normalization(mean.data<float>().ToArray(), deviation.data<float>().ToArray());
    }

    private ModelDescription TrainInto(Network trained, ModelDescription description, RunFactory runs, IChannel channel, IProgressChannel progress)
    {
        if (_options.FloodLevels is { } levels)
        {
            var total = (levels.Values?.Count ?? FloodLevels.AdaptiveCount) * (double)_options.Epochs;
            var reporter = new ProgressReporter(channel, progress, _options.Epochs, total);
            using var search = new LevelSearch(runs, _options, levels, level => Watch(reporter, level));
            var history = search.Run() with { SkippedImages = description.History.SkippedImages };
            channel.Info(MessageSensitivity.None, FormattableString.Invariant($"Chose flood level {history.FloodLevel} of {history.Trials.Count}."));
            foreach (var failed in history.Trials.Where(t => t.Failure is not null))
                channel.Warning(MessageSensitivity.None, FormattableString.Invariant($"Flood level {failed.FloodLevel}: {failed.Failure}"));
            trained.LoadState(search.BestState);
            description = description with { FloodLevel = history.FloodLevel, History = history };
        }
        else
        {
            using var prepared = runs.Create(_options);
            var reporter = new ProgressReporter(channel, progress, _options.Epochs, _options.Epochs);
            var history = prepared.Run.Fit(Watch(reporter, null), prepared.Checkpoints);
            trained.LoadState(prepared.Run.State());
            description = description with
            {
                History = history with
                {
                    FloodLevel = _options.FloodLevel,
                    Settings = prepared.Identity,
                    SkippedImages = description.History.SkippedImages,
                },
            };
        }
        if (description.History.Stopped)
            channel.Info(MessageSensitivity.None,
                $"Training was stopped: the model has the weights of epoch {description.History.SelectedEpoch} of {_options.Epochs}.");
        if (_options.FitTemperature)
            description = description with { Temperature = FitTemperature(trained, runs, channel) };
        return description;
    }

    private Action<EpochMetrics> Watch(ProgressReporter reporter, float? level)
    {
        if (_options.TensorBoardDirectory is not { } folder)
            return reporter.Report;
        var log = new TensorBoardLog(level is { } l ? Path.Combine(folder, FormattableString.Invariant($"level-{l}")) : folder);
        return metrics =>
        {
            reporter.Report(metrics);
            log.Write(metrics);
        };
    }

    private static float FitTemperature(Network trained, RunFactory runs, IChannel channel)
    {
        using var normalizer = runs.Normalization.On(runs.Device);
        trained.to(runs.Device);
        var (logits, labels) = Inference.Of(
            trained, ScalarType.Float32, runs.Data.Validation!, runs.Data.ValidationRows!, normalizer, runs.Device, runs.CheckAlive);
        trained.to(CPU);
        var temperature = Temperature.Fit(logits, labels, runs.Data.ValidationWeights?.index_select(0, runs.Data.ValidationRows!));
        channel.Info(MessageSensitivity.None, FormattableString.Invariant($"Temperature {temperature.Value:0.###}."));
        if (temperature.Warning is { } warning)
            channel.Warning(MessageSensitivity.None, warning);
        return (float)temperature.Value;
    }

    /// <summary>Without a seed every run has another one, but a run that continues must have the one it began with.</summary>
    private long ChooseSeed()
    {
        if ((_options.Seed ?? HostSettings.SeedOf(_environment)) is { } seed)
            return seed;
        var checkpoints = _options is { FloodLevels: not null, CheckpointDirectory: { } search } ? LevelSearch.PlainFolder(search) : _options.CheckpointDirectory;
        return checkpoints is { } folder && CheckpointStore.Peek(folder, RunIdentity.SeedKey) is { } begun
            ? long.Parse(begun, CultureInfo.InvariantCulture)
            : Random.Shared.Next();
    }

    private ImageSet Load(IHost host, IDataView data, ImageColumn column, string? samplingKey, Action<SkippedImage> skipped) =>
        ImageSet.Load(host, data, _options.FeatureColumnName, _options.LabelColumnName, column,
            new ImageSetOptions
            {
                WeightColumn = _options.ExampleWeightColumnName,
                SamplingKeyColumn = samplingKey,
                OnInvalidImage = _options.OnInvalidImage,
                MaxCacheBytes = _options.MaxCacheBytes,
                UseDisk = _options.CacheOnDisk,
                Skipped = skipped,
            },
            () =>
            {
                HostSettings.ThrowIfCanceled(host);
                _options.StopToken.ThrowIfCancellationRequested();
            });

    private ImageSet LoadValidation(IHost host, IDataView data, ImageColumn column, LabelKeys labels, List<SkippedImage> skipped)
    {
        ImageColumn.ThrowIfCachedAway(data, _options.FeatureColumnName);
        var label = data.Schema.GetColumnOrNull(_options.LabelColumnName)
            ?? throw new ArgumentException($"The validation set has no column '{_options.LabelColumnName}'.");
        if (data.Schema.GetColumnOrNull(_options.FeatureColumnName) is null)
            throw new ArgumentException($"The validation set has no column '{_options.FeatureColumnName}'.");
        if (!LabelKeys.Of(label).Equals(labels))
            throw new ArgumentException(
                $"Column '{_options.LabelColumnName}' of the validation set has other keys than that of the training data. " +
                "Transform the validation set with the same fitted MapValueToKey.");
        if (_options.ExampleWeightColumnName is { } weight)
            CheckWeight(Find(SchemaShape.Create(data.Schema), weight, nameof(Options.ExampleWeightColumnName), "validation set"));
        return Load(host, data, column, samplingKey: null, image => skipped.Add(image with { IsInValidationSet = true }));
    }

    private void Warn(IChannel channel, LabelKeys labels, TrainingData data)
    {
        var count = data.TrainingRows.shape[0];
        if (count < 2)
            throw new InvalidOperationException(
                $"There {(count == 1 ? "is 1 image" : "are no images")} to train on, images of weight 0 left out; at least 2 are needed.");
        if (_options.ValidationSet is not null && data.Validation is null)
            throw new InvalidOperationException(
                $"Every image of the {nameof(Options.ValidationSet)} has weight 0: there is nothing to validate on.");
        var needsValidation = _options.EarlyStopping is not null ? nameof(Options.EarlyStopping)
            : _options.FloodLevels is not null ? nameof(Options.FloodLevels)
            : _options.FitTemperature ? nameof(Options.FitTemperature)
            : null;
        if (needsValidation is not null && data.Validation is null)
            throw new InvalidOperationException($"{needsValidation} needs a {nameof(Options.ValidationSet)} or a {nameof(Options.ValidationSetFraction)} that holds at least one image.");
        if (ReferenceEquals(data.Training, data.Validation))
            WarnOfClassesNotValidated(channel, labels, data);
        if (data.Training.BlockLength < data.Training.Count && ClassOrder.IsSorted(data.Training.Labels.data<long>().ToArray(), data.Training.BlockLength))
            channel.Warning(MessageSensitivity.None,
                $"The images are sorted by class, and {nameof(Options.CacheOnDisk)} = false shuffles them only within blocks of "
                + $"{data.Training.BlockLength} images. Put mlContext.Data.ShuffleRows before the trainer, raise {nameof(Options.MaxCacheBytes)}, "
                + $"or set {nameof(Options.CacheOnDisk)} to true.");
        if (_options.FloodLevels is null && labels.Count > 1 && _options.FloodLevel >= Math.Log(labels.Count))
            channel.Warning(MessageSensitivity.None,
                $"The flood level {_options.FloodLevel} is at or above ln({labels.Count}) = {Math.Log(labels.Count):0.###}, the loss of guessing: nothing will be learned.");
    }

    private void WarnOfClassesNotValidated(IChannel channel, LabelKeys labels, TrainingData data)
    {
        var counts = Counts(data.TrainingRows);
        var held = Counts(data.ValidationRows!);
        string[] missing =
        [
            .. Enumerable.Range(0, labels.Count).Where(label => counts[label] > 0 && held[label] == 0)
                .Select(label => $"'{labels.Names[label]}' ({counts[label]} {(counts[label] == 1 ? "image" : "images")})"),
        ];
        if (missing.Length == 0)
            return;
        var others = missing.Length > MostClassesNamed ? $" and {missing.Length - MostClassesNamed} more" : "";
        channel.Warning(MessageSensitivity.UserData,
            $"No image was set aside to validate {string.Join(", ", missing.Take(MostClassesNamed))}{others}. A class with one image" +
            (_options.SamplingKeyColumnName is { } key ? $", or one value of '{key}'," : "") +
            $" is used for training only. For other classes raise {nameof(Options.ValidationSetFraction)}.");

        long[] Counts(Tensor rows) => [.. bincount(data.Training.Labels.index_select(0, rows), minlength: labels.Count).data<long>()];
    }

    private static void CheckWeight(SchemaShape.Column weight)
    {
        if (weight.IsKey || weight.Kind != SchemaShape.Column.VectorKind.Scalar || weight.ItemType != NumberDataViewType.Single)
            throw new ArgumentException(
                $"The weight column '{weight.Name}' must be Single; it is {weight.GetTypeString()}. " +
                $"Put mlContext.Transforms.Conversion.ConvertType(\"{weight.Name}\") before the trainer.");
    }

    private static void CheckSamplingKey(SchemaShape.Column samplingKey)
    {
        if (!HashingEstimator.IsColumnTypeValid(samplingKey.ItemType))
            throw new ArgumentException(
                $"The sampling key column '{samplingKey.Name}' must be text, a key, a number or Boolean; " +
                $"it is {samplingKey.GetTypeString()}. Put " +
                $"mlContext.Transforms.Conversion.ConvertType(\"{samplingKey.Name}\", outputKind: DataKind.String) before the trainer.");
    }

    private static SchemaShape.Column Find(SchemaShape schema, string name, string option, string where = "data") =>
        schema.TryFindColumn(name, out var column)
            ? column
            : throw new ArgumentException(
                $"The {where} has no column '{name}' ({option}). Its columns: {string.Join(", ", schema.Select(c => c.Name))}.");
}
