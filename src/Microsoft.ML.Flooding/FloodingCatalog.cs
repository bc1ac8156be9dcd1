using Microsoft.ML.Flooding;
using Microsoft.ML.Flooding.Runtime;
using Microsoft.ML.Runtime;

namespace Microsoft.ML;

/// <summary>Extension methods that create a <see cref="FloodedImageClassificationTrainer"/>.</summary>
public static class FloodingCatalog
{
    /// <summary>
    /// Creates a trainer of image classifiers that minimizes |J - b| + b instead of the loss J (Ishida et al., ICML 2020).
    /// </summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="b">
    /// The flood level, finite and at least 0; 0 is plain training. Default: 0.03, as <see cref="TrainingOptions.FloodLevel"/>.
    /// </param>
    /// <param name="labelColumnName">The label column, a key.</param>
    /// <param name="featureColumnName">
    /// The image column: MLImage, variable-length Vector&lt;Byte&gt; (an encoded file) or known-size Vector&lt;Single&gt; or
    /// Vector&lt;Byte&gt; of pixels; see <see cref="FloodedImageClassificationTrainer.Options.FeatureColumnName"/>.
    /// </param>
    /// <param name="scoreColumnName">The column to write the probabilities to.</param>
    /// <param name="predictedLabelColumnName">The column to write the most probable class to.</param>
    /// <param name="validationSet">Data to validate on after each epoch. If null, a tenth of the training data is set aside.</param>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="b"/> is negative or not finite.</exception>
    public static FloodedImageClassificationTrainer FloodedImageClassification(
        this TransformsCatalog catalog, float b = TrainingOptions.DefaultFloodLevel, string labelColumnName = "Label",
        string featureColumnName = "Features", string scoreColumnName = "Score", string predictedLabelColumnName = "PredictedLabel",
        IDataView? validationSet = null)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        return Create(
            HostSettings.Of(catalog), b, labelColumnName, featureColumnName, scoreColumnName, predictedLabelColumnName, validationSet);
    }

    /// <summary>
    /// Creates a trainer of image classifiers that trains at several flood levels and keeps the model with the best validation metric.
    /// What the runs have in common is trained once.
    /// </summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="levels">The levels to choose from; plain training, b = 0, is always among them.</param>
    /// <param name="labelColumnName">The label column, a key.</param>
    /// <param name="featureColumnName">
    /// The image column: MLImage, variable-length Vector&lt;Byte&gt; (an encoded file) or known-size Vector&lt;Single&gt; or
    /// Vector&lt;Byte&gt; of pixels; see <see cref="FloodedImageClassificationTrainer.Options.FeatureColumnName"/>.
    /// </param>
    /// <param name="scoreColumnName">The column to write the probabilities to.</param>
    /// <param name="predictedLabelColumnName">The column to write the most probable class to.</param>
    /// <param name="validationSet">Data to choose the level by. If null, a tenth of the training data is set aside.</param>
    public static FloodedImageClassificationTrainer FloodedImageClassification(
        this TransformsCatalog catalog, FloodLevels levels, string labelColumnName = "Label",
        string featureColumnName = "Features", string scoreColumnName = "Score", string predictedLabelColumnName = "PredictedLabel",
        IDataView? validationSet = null)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(levels);
        return Create(
            HostSettings.Of(catalog), 0, labelColumnName, featureColumnName, scoreColumnName, predictedLabelColumnName, validationSet,
            levels);
    }

    /// <summary>
    /// Creates a trainer of image classifiers with another objective than the flood on the mini-batch mean, such as
    /// <see cref="FloodingObjective.CrossFitted(double, int, bool)"/> for labels of which some are wrong.
    /// </summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="objective">What training minimizes.</param>
    /// <param name="labelColumnName">The label column, a key.</param>
    /// <param name="featureColumnName">
    /// The image column: MLImage, variable-length Vector&lt;Byte&gt; (an encoded file) or known-size Vector&lt;Single&gt; or
    /// Vector&lt;Byte&gt; of pixels; see <see cref="FloodedImageClassificationTrainer.Options.FeatureColumnName"/>.
    /// </param>
    /// <param name="scoreColumnName">The column to write the probabilities to.</param>
    /// <param name="predictedLabelColumnName">The column to write the most probable class to.</param>
    /// <param name="validationSet">Data to validate on after each epoch. If null, a tenth of the training data is set aside.</param>
    public static FloodedImageClassificationTrainer FloodedImageClassification(
        this TransformsCatalog catalog, FloodingObjective objective, string labelColumnName = "Label",
        string featureColumnName = "Features", string scoreColumnName = "Score", string predictedLabelColumnName = "PredictedLabel",
        IDataView? validationSet = null)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(objective);
        return Create(
            HostSettings.Of(catalog), TrainingOptions.DefaultFloodLevel, labelColumnName, featureColumnName, scoreColumnName,
            predictedLabelColumnName, validationSet, objective: objective);
    }

    /// <summary>Creates a trainer of image classifiers from options.</summary>
    /// <param name="catalog">The catalog.</param>
    /// <param name="options">The options; a copy is taken.</param>
    /// <exception cref="ArgumentOutOfRangeException">An option is out of its range.</exception>
    public static FloodedImageClassificationTrainer FloodedImageClassification(
        this TransformsCatalog catalog, FloodedImageClassificationTrainer.Options options)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        return new FloodedImageClassificationTrainer(HostSettings.Of(catalog), options);
    }

    /// <inheritdoc cref="FloodedImageClassification(TransformsCatalog, float, string, string, string, string, IDataView)"/>
    public static FloodedImageClassificationTrainer FloodedImageClassification(
        this MulticlassClassificationCatalog.MulticlassClassificationTrainers catalog, float b = TrainingOptions.DefaultFloodLevel,
        string labelColumnName = "Label", string featureColumnName = "Features", string scoreColumnName = "Score",
        string predictedLabelColumnName = "PredictedLabel", IDataView? validationSet = null)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        return Create(
            HostSettings.Of(catalog), b, labelColumnName, featureColumnName, scoreColumnName, predictedLabelColumnName, validationSet);
    }

    /// <inheritdoc cref="FloodedImageClassification(TransformsCatalog, FloodLevels, string, string, string, string, IDataView)"/>
    public static FloodedImageClassificationTrainer FloodedImageClassification(
        this MulticlassClassificationCatalog.MulticlassClassificationTrainers catalog, FloodLevels levels, string labelColumnName = "Label",
        string featureColumnName = "Features", string scoreColumnName = "Score", string predictedLabelColumnName = "PredictedLabel",
        IDataView? validationSet = null)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(levels);
        return Create(
            HostSettings.Of(catalog), 0, labelColumnName, featureColumnName, scoreColumnName, predictedLabelColumnName, validationSet,
            levels);
    }

    /// <inheritdoc cref="FloodedImageClassification(TransformsCatalog, FloodingObjective, string, string, string, string, IDataView)"/>
    public static FloodedImageClassificationTrainer FloodedImageClassification(
        this MulticlassClassificationCatalog.MulticlassClassificationTrainers catalog, FloodingObjective objective,
        string labelColumnName = "Label", string featureColumnName = "Features", string scoreColumnName = "Score",
        string predictedLabelColumnName = "PredictedLabel", IDataView? validationSet = null)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(objective);
        return Create(
            HostSettings.Of(catalog), TrainingOptions.DefaultFloodLevel, labelColumnName, featureColumnName, scoreColumnName,
            predictedLabelColumnName, validationSet, objective: objective);
    }

    /// <inheritdoc cref="FloodedImageClassification(TransformsCatalog, FloodedImageClassificationTrainer.Options)"/>
    public static FloodedImageClassificationTrainer FloodedImageClassification(
        this MulticlassClassificationCatalog.MulticlassClassificationTrainers catalog, FloodedImageClassificationTrainer.Options options)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        return new FloodedImageClassificationTrainer(HostSettings.Of(catalog), options);
    }

    private static FloodedImageClassificationTrainer Create(
        IHostEnvironment environment, float b, string label, string feature, string score, string predictedLabel, IDataView? validationSet,
        FloodLevels? levels = null, FloodingObjective? objective = null) =>
        new(environment, new FloodedImageClassificationTrainer.Options
        {
            FloodLevel = b,
            FloodLevels = levels,
            Objective = objective ?? FloodingObjective.Flood,
            LabelColumnName = label,
            FeatureColumnName = feature,
            ScoreColumnName = score,
            PredictedLabelColumnName = predictedLabel,
            ValidationSet = validationSet,
        });
}
