using Microsoft.ML.Flooding;
using Microsoft.ML.Flooding.Runtime;

namespace Microsoft.ML;

/// <summary>Extension methods that find wrong labels.</summary>
public static class LabelIssueCatalog
{
    /// <summary>
    /// Finds the images whose label is probably wrong, duplicates with different labels, and classes that overlap (confident learning:
    /// Northcutt, Jiang and Chuang, "Confident Learning: Estimating Uncertainty in Dataset Labels", JAIR 2021). The images are divided into
    /// folds, and each is rated by a network that was trained on the other folds.
    /// </summary>
    /// <param name="catalog">The multiclass catalog.</param>
    /// <param name="data">Rows with the label and the image column. All of them are rated, except those of weight 0.</param>
    /// <param name="options">
    /// The columns, the network and how it is trained. Validation, flood levels, objective and early stopping are not used: each network
    /// sets a tenth of its own images aside and predicts with the epoch of the highest accuracy on them. With pretrained weights and
    /// <see cref="FineTuning.Automatic"/>, the networks share the pretrained layers and only last layers are trained, which takes seconds.
    /// Default (null): the default options.
    /// </param>
    /// <param name="folds">
    /// The number of folds and networks, at least 2. Default: 2, which takes as long as a plain run. More folds take longer and rate
    /// better.
    /// </param>
    /// <exception cref="ArgumentException">A column is missing or has the wrong type.</exception>
    /// <exception cref="ArgumentOutOfRangeException">An option or <paramref name="folds"/> is out of its range.</exception>
    /// <exception cref="InvalidOperationException">There are too few rows, an image cannot be read, or training diverged.</exception>
    /// <exception cref="OperationCanceledException">The execution of the MLContext or the StopToken was canceled.</exception>
    public static LabelIssues FindLabelIssues(
        this MulticlassClassificationCatalog catalog, IDataView data, FloodedImageClassificationTrainer.Options? options = null,
        int folds = 2)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentNullException.ThrowIfNull(data);
        return FloodedImageClassificationTrainer.FindLabelIssues(
            HostSettings.Of(catalog), data, options ?? new FloodedImageClassificationTrainer.Options(), folds);
    }
}
