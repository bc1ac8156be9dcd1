using Microsoft.ML.Flooding.Objectives;
using Microsoft.ML.Flooding.Search;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Flooding;

public sealed partial class FloodedImageClassificationTrainer
{
    /// <summary>Ranks the images of the data by how little their labels fit the predictions of networks not trained on them.</summary>
    /// <param name="environment">The environment.</param>
    /// <param name="data">Rows with the label and the image column.</param>
    /// <param name="options">The columns, the network and how it is trained.</param>
    /// <param name="folds">The number of networks.</param>
    internal static LabelIssues FindLabelIssues(IHostEnvironment environment, IDataView data, Options options, int folds)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(folds, 2);
        var search = options.Clone();
        // All images are rated, so none are set aside, and the networks decide alone what they validate on.
        (search.ValidationSet, search.ValidationSetFraction, search.EarlyStopping) = (null, null, null);
        (search.FloodLevels, search.FloodLevel, search.FitTemperature) = (null, 0, false);
        search.Objective = FloodingObjective.CrossFitted(weight: 1, folds);
        return new FloodedImageClassificationTrainer(environment, search).OnRanks(trainer => trainer.Prepare(data, pretrained: null, p =>
        {
            var set = p.Runs.Data.Training;
            // The features of a pretrained network say enough, and their classifiers are trained in seconds.
            using var heads = p.Start.IsPretrained && options.IsLeftToFineTuning
                ? new HeadSearch(p.Runs, search.With(o => o.Objective = FloodingObjective.Flood))
                : null;
            var trial = heads?.Choose(_ => { });
            if (heads is not null)
                p.Reporter.Expect(HeadSearch.EpochsOf(trial), folds);
            using var onFeatures = heads?.HeldOut(
                trial, p.Reporter.ReportAs, text => p.Channel.Info(MessageSensitivity.None, text));
            var probabilities = onFeatures?.Probabilities(new Auxiliaries(folds)) ?? p.Runs.HeldOut!(new Auxiliaries(folds));
            return LabelIssues.Of(
                environment, data, set, p.Runs.Data.TrainingRows, probabilities, p.Start.Labels.Names,
                [.. p.Images.Skipped.Select(image => image.Row)], p.Runs.CheckAlive);
        }));
    }
}
