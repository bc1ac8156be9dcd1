using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Scoring;

namespace Microsoft.ML.Flooding;

public sealed partial class FloodedImageClassificationTrainer
{
    /// <summary>
    /// The options of <see cref="FloodedImageClassificationTrainer"/>: the columns, the data to validate on, and how to train.
    /// </summary>
    public sealed class Options : TrainingOptions
    {
        /// <summary>The label column, a key. Default: Label.</summary>
        public string LabelColumnName { get; set; } = "Label";

        /// <summary>
        /// The image column: MLImage, variable-length Vector&lt;Byte&gt; (an encoded file) or known-size Vector&lt;Single&gt; or
        /// Vector&lt;Byte&gt; of pixels. Default: Features.
        /// </summary>
        /// <remarks>
        /// <para>
        /// The dimensions of a vector's type are [height, width], [height, width, channels] or [channels, height, width]. Three dimensions
        /// are the last form, which ExtractPixels writes by default, if the first is 1 or 3 and the last is not, or the first is at most 4
        /// and the last is more. A vector of one dimension is a square of 1 or 3 channels, or of <see cref="ImageWidth"/> x
        /// <see cref="ImageHeight"/>, in height x width x channels order.
        /// </para>
        /// <para>
        /// An encoded file is turned upright by its EXIF orientation, and its alpha is dropped. MLImage has neither the orientation nor,
        /// where alpha is 0, the color; colors under other alphas are rounded. The orientation is read again from the file that MLImage.Tag
        /// names (LoadImages sets it) if the image has the size of the file. An image from MLImage.CreateFromFile, or of another size, is
        /// not turned.
        /// </para>
        /// </remarks>
        public string FeatureColumnName { get; set; } = "Features";

        /// <summary>
        /// The column of the images' weights: Single, finite, at least 0, not all 0. Only their ratios matter, and rows of weight 0 are not
        /// used. A <see cref="ValidationSet"/> must have it as well. Default (null): every image counts the same.
        /// </summary>
        /// <remarks>
        /// <para>
        /// The weights are divided by their mean over the training images. Let w be the result. The loss J of a mini-batch is its weighted
        /// mean, sum(w l) / sum(w), as PyTorch's cross_entropy computes it with class weights. A flood level is compared with J.
        /// </para>
        /// <para>
        /// The gradient is that of sum(w l) / N for the N images of the mini-batch. It is normalized by the expected weight, not by the
        /// weight of the batch. Its average over mini-batches is therefore the gradient of the weighted mean of the training set, and an
        /// image of weight 2 counts as two images. <see cref="FloodingObjective.Flood"/> minimizes sum(w) / N * |J - b|.
        /// <see cref="FloodingObjective.ClassWise()"/> does the same within each class. The per-sample objectives minimize the sum of w
        /// times each sample's term, divided by N. With mixup, each of the two labels has the weight of its image.
        /// </para>
        /// <para>
        /// The validation loss and accuracy are weighted means too, so epochs, weights and flood levels are selected by what training
        /// minimizes. Equal weights give the same bits as no weights.
        /// </para>
        /// </remarks>
        public string? ExampleWeightColumnName { get; set; }

        /// <summary>
        /// How much the classes count, for data with many more images of one class than of another: <see cref="ClassWeights.None"/>,
        /// <see cref="ClassWeights.Balanced"/> or given. They multiply the weights of <see cref="ExampleWeightColumnName"/>, in training
        /// and in validation. The network then predicts the probabilities of data in which the classes have these weights.
        /// Default: <see cref="ClassWeights.None"/>.
        /// </summary>
        public ClassWeights ClassWeights { get; set; } = ClassWeights.None;

        /// <summary>
        /// A column of text, keys, numbers or Booleans, or vectors of these, as for ML.NET's TrainTestSplit. Images with the same value,
        /// such as photos of one object, stay on one side of the split of <see cref="ValidationSetFraction"/> and in one fold of
        /// held-out predictions. A missing value counts as a value. Default (null): each image is on its own.
        /// </summary>
        public string? SamplingKeyColumnName { get; set; }

        /// <summary>The output column for the probabilities. Default: Score.</summary>
        public string ScoreColumnName { get; set; } = "Score";

        /// <summary>The output column for the most probable class. Default: PredictedLabel.</summary>
        public string PredictedLabelColumnName { get; set; } = "PredictedLabel";

        /// <summary>
        /// Data to validate on after each epoch, transformed in the same way as the training data. Default (null): see
        /// <see cref="ValidationSetFraction"/>.
        /// </summary>
        public IDataView? ValidationSet { get; set; }

        /// <summary>
        /// The share of the training data to set aside for validation if there is no <see cref="ValidationSet"/>, in (0, 1); null: none.
        /// Default: 0.1.
        /// </summary>
        /// <remarks>
        /// The split is drawn from the seed and stratified: each class has its share on both sides. A class of two or more images has at
        /// least one image on each side, as long as the fraction is large enough for one image of each class. A class of one image is used
        /// for training only, with a warning. With <see cref="SamplingKeyColumnName"/>, groups of images with the same value are placed one
        /// by one, the largest first, on the side that this brings closest to its share of each class.
        /// </remarks>
        public double? ValidationSetFraction { get; set; } = 0.1;

        /// <summary>
        /// Width in pixels that images are resized to, from 1 to 65,535; set with <see cref="ImageHeight"/>. An image has at most
        /// 67,108,864 values (height x width x channels). Default (null): that of <see cref="TrainingOptions.PretrainedWeights"/>,
        /// else the median width and height of the first 33 images, or 224 x 224 where one of them is larger; for pixel vectors, see
        /// <see cref="FeatureColumnName"/>.
        /// </summary>
        public int? ImageWidth { get; set; }

        /// <summary>
        /// Height in pixels that images are resized to, from 1 to 65,535; set with <see cref="ImageWidth"/>. Default (null): as for
        /// <see cref="ImageWidth"/>.
        /// </summary>
        public int? ImageHeight { get; set; }

        /// <summary>
        /// The levels to search for the best <see cref="TrainingOptions.FloodLevel"/>. One run is trained at each level, and the run with
        /// the best validation metric becomes the model. <see cref="TrainingOptions.MetricsCallback"/> is called for the epochs of every
        /// run. Default (null): no search.
        /// </summary>
        public FloodLevels? FloodLevels { get; set; }

        /// <summary>
        /// Whether to fit a temperature to the validation set after training (Guo et al., 2017). The logits are divided by it before they
        /// become probabilities. It changes no predicted class, and it lowers the log-loss of networks that are underconfident by design,
        /// such as those of <see cref="FloodingObjective.IndividualFlood"/>. It needs a validation set with correct labels: wrong labels
        /// make the probabilities too low. At least one in N + 2 of N validation images is assumed to be misclassified, so a set without
        /// errors gives a finite temperature; a warning says so. If the network is no better than chance, the temperature stays 1, with a
        /// warning. Default: false.
        /// </summary>
        public bool FitTemperature { get; set; }

        /// <summary>A folder for TensorBoard event files. A search writes a subfolder for each level. Default (null): none.</summary>
        public string? TensorBoardDirectory { get; set; }

        /// <summary>
        /// The machines that train, such as those of <c>OrleansCluster</c>. The runs of <see cref="FloodLevels"/>, of an
        /// <see cref="TrainingOptions.Objective"/> with several values and of held-out predictions are trained at the same time, on as many
        /// workers as there are. Default (null): this process trains all runs, one after the other.
        /// </summary>
        /// <remarks>
        /// <para>
        /// This process reads the images, sends them to each worker once, and keeps all checkpoints and results. If it or a worker is
        /// killed, runs continue from their checkpoints; set <see cref="TrainingOptions.CheckpointDirectory"/> to continue after this
        /// process was killed. A run that fails on workers three times is an error that has the worker's reason; the other runs are trained
        /// to the end first.
        /// </para>
        /// <para>
        /// Functions of the application stay in its process: <see cref="TrainingOptions.Callbacks"/> cannot be used, nor an objective, a
        /// schedule or a metric from a function. <see cref="TrainingOptions.MetricsCallback"/> is called in this process. The factory of
        /// <see cref="Architecture.FromFactory"/> has to be registered by each worker. <see cref="CacheOnDisk"/> must be true, and
        /// <see cref="FloodLevels.Pruning"/> false, because it compares a run with those before it.
        /// </para>
        /// </remarks>
        public TrainingCluster? Cluster { get; set; }

        /// <summary>
        /// The memory in bytes that the decoded images of one set may take, at least 1. A larger set is kept in a temporary file (see
        /// <see cref="CacheOnDisk"/>). Default (null): half of the memory that is free when the set is read, or 1 GiB if
        /// <see cref="CacheOnDisk"/> is false.
        /// </summary>
        public long? MaxCacheBytes { get; set; }

        /// <summary>
        /// Whether a set larger than <see cref="MaxCacheBytes"/> may be kept in a temporary file. If not, every epoch decodes its images
        /// again and shuffles them only within blocks: these follow the order of the data, and each takes half of
        /// <see cref="MaxCacheBytes"/>. Shuffle data that is sorted by class before training; if it is not, a warning says so. The order
        /// depends on the data, the seed, this option and <see cref="MaxCacheBytes"/>, never on the free memory of the machine. Default:
        /// true.
        /// </summary>
        public bool CacheOnDisk { get; set; } = true;

        /// <summary>
        /// What to do with an image that cannot be read. <see cref="OnInvalidImage.Throw"/> throws an error. With
        /// <see cref="OnInvalidImage.Skip"/>, training leaves the row out, logs it and lists it in
        /// <see cref="TrainingHistory.SkippedImages"/>; scoring gives NaN scores and a missing predicted label. Saved with the model.
        /// Default: <see cref="OnInvalidImage.Throw"/>.
        /// </summary>
        public OnInvalidImage OnInvalidImage { get; set; }

        /// <summary>
        /// The largest number of pixels of an encoded image. Larger images are invalid; they are refused by their header, before memory is
        /// allocated for them. Saved with the model. Default: 100,000,000.
        /// </summary>
        public long MaxPixels { get; set; } = ImageColumn.DefaultMaxPixels;

        /// <summary>
        /// The number format for scoring. Saved with the model; to change it for a trained model, use
        /// <see cref="FloodedImageClassificationTransformer.WithScoringPrecision"/>. Default:
        /// <see cref="Precision.Float32"/>.
        /// </summary>
        public Precision ScoringPrecision { get; set; } = Precision.Float32;

        /// <summary>
        /// The engine for scoring. Saved with the model; to change it for a trained model, use
        /// <see cref="FloodedImageClassificationTransformer.WithScoringEngine"/>. Default: <see cref="ScoringEngine.Auto"/>.
        /// </summary>
        public ScoringEngine ScoringEngine { get; set; }

        /// <inheritdoc/>
        internal override void Validate()
        {
            base.Validate();
            if (FloodLevels is not null && !Objective.UsesFloodLevel)
                throw new ArgumentException($"There is no level to search for: {Objective} has levels of its own.", nameof(FloodLevels));
            Require(FloodLevels is null or { Metric: not null }, "FloodLevels.Metric", null, "a metric, not null");
            if (FloodLevels?.Metric is { Function: not null } metric && base.OwnMetric is { } other && metric != other)
                throw new ArgumentException(
                    $"EarlyStopping.Metric is '{other}' and FloodLevels.Metric is '{metric}': a run computes one metric of your own. Use "
                    + "the same object for both, or LogLoss or Accuracy for one of them.", nameof(FloodLevels));
            ArgumentException.ThrowIfNullOrWhiteSpace(LabelColumnName);
            ArgumentException.ThrowIfNullOrWhiteSpace(FeatureColumnName);
            ArgumentException.ThrowIfNullOrWhiteSpace(ScoreColumnName);
            ArgumentException.ThrowIfNullOrWhiteSpace(PredictedLabelColumnName);
            ArgumentNullException.ThrowIfNull(ClassWeights);
            if (ExampleWeightColumnName is not null)
                ArgumentException.ThrowIfNullOrWhiteSpace(ExampleWeightColumnName);
            if (SamplingKeyColumnName is not null)
                ArgumentException.ThrowIfNullOrWhiteSpace(SamplingKeyColumnName);
            if (ScoreColumnName == PredictedLabelColumnName)
                throw new ArgumentException(
                    $"{nameof(ScoreColumnName)} and {nameof(PredictedLabelColumnName)} are both '{ScoreColumnName}'. "
                    + "Give them different names.");
            Require(
                ValidationSetFraction is null or > 0 and < 1, nameof(ValidationSetFraction), ValidationSetFraction, "in (0, 1), or null");
            Require(MaxCacheBytes is null or > 0, nameof(MaxCacheBytes), MaxCacheBytes, "at least 1");
            if (Cluster is not null && ReasonAgainstCluster() is { } reason)
                throw new ArgumentException($"{nameof(Cluster)} is set, but {reason}, or unset {nameof(Cluster)}.", nameof(Cluster));
            var sides = $"at least 1 and at most {ImageShape.LongestSide}";
            Require(ImageWidth is null or (>= 1 and <= ImageShape.LongestSide), nameof(ImageWidth), ImageWidth, sides);
            Require(ImageHeight is null or (>= 1 and <= ImageShape.LongestSide), nameof(ImageHeight), ImageHeight, sides);
            Require(Enum.IsDefined(OnInvalidImage), nameof(OnInvalidImage), OnInvalidImage, "Throw or Skip");
            Require(MaxPixels >= 1, nameof(MaxPixels), MaxPixels, "at least 1");
            Require(Enum.IsDefined(ScoringPrecision), nameof(ScoringPrecision), ScoringPrecision, "Float32, BFloat16 or Auto");
            Require(Enum.IsDefined(ScoringEngine), nameof(ScoringEngine), ScoringEngine, "Auto, OnnxRuntime or LibTorch");
            if (ScoringEngine == ScoringEngine.OnnxRuntime && ScoringPrecision == Precision.BFloat16)
                throw new ArgumentException(EngineSelection.OnlyFloat32, nameof(ScoringEngine));
            Require(ImageWidth is null == ImageHeight is null, nameof(ImageHeight), ImageHeight, $"set together with {nameof(ImageWidth)}");
            Require((long?)ImageWidth * ImageHeight is null or <= ImageShape.MostValues, nameof(ImageHeight), ImageHeight,
                $"at most {ImageShape.MostValues} / {nameof(ImageWidth)}, which is {ImageWidth}");
            if (TensorBoardDirectory is not null)
                ArgumentException.ThrowIfNullOrWhiteSpace(TensorBoardDirectory);
        }

        /// <summary>Why the runs cannot be sent to other processes, and what to do; null if they can.</summary>
        private string? ReasonAgainstCluster()
        {
            if (DataParallel is not null)
                return $"{nameof(DataParallel)} trains each run by processes of its own. Unset it";
            if (Callbacks.Count > 0)
                return $"{nameof(Callbacks)} are called in every step. Use {nameof(MetricsCallback)}";
            if (Objective.IsFunction)
                return $"the {nameof(Objective)} is a function of this application. Choose another one";
            if (Schedule.IsFunction)
                return $"the {nameof(Schedule)} is a function of this application. Choose another one";
            if (OwnMetric is { } metric)
                return $"the metric '{metric}' is a function of this application. Choose another one";
            if (FloodLevels is { Pruning: true })
                return $"{nameof(FloodLevels)}.{nameof(Flooding.FloodLevels.Pruning)} compares a run with those before it. Set it to false";
            return CacheOnDisk ? null : $"{nameof(CacheOnDisk)} is false: workers need the decoded images. Set it to true";
        }

        /// <inheritdoc/>
        internal override bool IsLeftToFineTuning => base.IsLeftToFineTuning && FloodLevels is null;

        /// <inheritdoc/>
        internal override ValidationMetric? OwnMetric =>
            base.OwnMetric ?? (FloodLevels?.Metric is { Function: not null } metric ? metric : null);

        /// <summary>A copy, so that later changes of the caller's object do not reach a trainer.</summary>
        internal Options Clone() => (Options)MemberwiseClone();
    }
}
