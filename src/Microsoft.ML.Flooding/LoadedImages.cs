using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Runtime;
using Microsoft.ML.Flooding.Scoring;
using Microsoft.ML.Flooding.Training;
using Microsoft.ML.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding;

/// <summary>The images that a Fit reads: the training data and, if the options have one, the validation set.</summary>
internal sealed class LoadedImages : IDisposable
{
    private const int MostClassesNamed = 10;

    private readonly FloodedImageClassificationTrainer.Options _options;
    private readonly LabelKeys _labels;
    private readonly ImageSet _training;
    private readonly ImageSet? _validation;
    private readonly List<SkippedImage> _skipped = [];

    /// <summary>Reads all images once.</summary>
    /// <param name="host">Checked for cancellation.</param>
    /// <param name="input">The training data. Its columns are checked.</param>
    /// <param name="column">How images are read.</param>
    /// <param name="labels">The classes of the training data.</param>
    /// <param name="options">Valid options.</param>
    /// <exception cref="ArgumentException">A column of the validation set is missing or has the wrong type.</exception>
    /// <exception cref="InvalidOperationException">There are no rows, or an image cannot be read.</exception>
    public LoadedImages(
        IHost host, IDataView input, ImageColumn column, LabelKeys labels, FloodedImageClassificationTrainer.Options options)
    {
        _options = options;
        _labels = labels;
        _training = Load(host, input, column, options.SamplingKeyColumnName, _skipped.Add);
        if (options.ValidationSet is not { } validationSet)
            return;
        try
        {
            ImageColumn.ThrowIfCachedAway(validationSet, options.FeatureColumnName);
            TrainingColumns.CheckValidation(validationSet.Schema, labels, options);
            _validation = Load(
                host, validationSet, column, samplingKey: null, image => _skipped.Add(image with { IsInValidationSet = true }));
        }
        catch
        {
            _training.Dispose();
            throw;
        }
    }

    /// <summary>The images that were left out, those of the training data first.</summary>
    public IReadOnlyList<SkippedImage> Skipped => _skipped;

    /// <summary>Splits the rows into training and validation rows. The sets stay this object's.</summary>
    /// <param name="seed">The seed of the split.</param>
    /// <param name="holdsOut">Whether images are set aside for validation if the options have no validation set.</param>
    /// <param name="channel">Warns of classes that are not validated, and of data sorted by class.</param>
    /// <exception cref="InvalidOperationException">There are too few images, or none to validate on where an option needs them.</exception>
    public TrainingData Split(long seed, bool holdsOut, IChannel channel)
    {
        var data = TrainingData.Split(
            _training, _validation, holdsOut ? _options.ValidationSetFraction ?? 0 : 0, _options.ClassWeights, _labels.Count, seed);
        ThrowIfTooFew(data);
        if (ReferenceEquals(data.Training, data.Validation))
            WarnOfClassesNotValidated(data, channel);
        WarnOfClassOrder(channel);
        return data;
    }

    public void Dispose()
    {
        _training.Dispose();
        _validation?.Dispose();
    }

    private ImageSet Load(IHost host, IDataView data, ImageColumn column, string? samplingKey, Action<SkippedImage> skipped) =>
        ImageSet.Load(
            host, data, _options.FeatureColumnName, _options.LabelColumnName, column,
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

    private void ThrowIfTooFew(TrainingData data)
    {
        var count = data.TrainingRows.shape[0];
        if (count < 2)
            throw new InvalidOperationException(
                $"There {(count == 1 ? "is 1 image" : "are no images")} to train on, images of weight 0 left out; at least 2 are needed.");
        if (_options.ValidationSet is not null && data.Validation is null)
            throw new InvalidOperationException(
                $"Every image of the {nameof(_options.ValidationSet)} has weight 0: there is nothing to validate on.");
        var needsValidation = _options.EarlyStopping is not null && !ReferenceEquals(_options.EarlyStopping, EarlyStopping.Default)
            ? nameof(_options.EarlyStopping)
            : _options.FloodLevels is not null ? nameof(_options.FloodLevels)
            : _options.FitTemperature ? nameof(_options.FitTemperature)
            : _options.FineTuning == FineTuning.AllLayers ? $"{nameof(_options.FineTuning)} {nameof(FineTuning.AllLayers)}"
            : _options.Objective.Candidates.Count > 1 ? $"{nameof(_options.Objective)} {_options.Objective}"
            : null;
        if (needsValidation is not null && data.Validation is null)
            throw new InvalidOperationException(
                $"{needsValidation} needs a {nameof(_options.ValidationSet)} or a {nameof(_options.ValidationSetFraction)} "
                + "that holds at least one image.");
    }

    private void WarnOfClassOrder(IChannel channel)
    {
        if (_training.BlockLength < _training.Count
            && ClassOrder.IsSorted(_training.Labels.data<long>().ToArray(), _training.BlockLength))
            channel.Warning(
                MessageSensitivity.None,
                $"The images are sorted by class, and {nameof(_options.CacheOnDisk)} = false shuffles them only within blocks of "
                + $"{_training.BlockLength} images. Put mlContext.Data.ShuffleRows before the trainer, raise "
                + $"{nameof(_options.MaxCacheBytes)}, or set {nameof(_options.CacheOnDisk)} to true.");
    }

    private void WarnOfClassesNotValidated(TrainingData data, IChannel channel)
    {
        var counts = CountClasses(data.TrainingRows);
        var held = CountClasses(data.ValidationRows!);
        string[] missing =
        [
            .. Enumerable.Range(0, _labels.Count).Where(label => counts[label] > 0 && held[label] == 0)
                .Select(label => $"'{_labels.Names[label]}' ({counts[label]} {(counts[label] == 1 ? "image" : "images")})"),
        ];
        if (missing.Length == 0)
            return;
        var others = missing.Length > MostClassesNamed ? $" and {missing.Length - MostClassesNamed} more" : "";
        channel.Warning(
            MessageSensitivity.UserData,
            $"No image was set aside to validate {string.Join(", ", missing.Take(MostClassesNamed))}{others}. A class with one image"
            + (_options.SamplingKeyColumnName is { } key ? $", or one value of '{key}'," : "")
            + $" is used for training only. For other classes raise {nameof(_options.ValidationSetFraction)}.");

        long[] CountClasses(Tensor rows) =>
            [.. bincount(data.Training.Labels.index_select(0, rows), minlength: _labels.Count).data<long>()];
    }
}
