using System.Text.Json;
using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Scoring;

namespace Microsoft.ML.Flooding.Persistence;

/// <summary>
/// Reads the description of a model, which <see cref="JsonSerializer"/> wrote. In a new process, the serializer compiles several hundred
/// methods before it reads the first description, which takes a third of the time of loading a model of 45 MB.
/// </summary>
internal static class DescriptionReader
{
    /// <summary>Reads a description from UTF-8.</summary>
    /// <exception cref="JsonException">The text is not JSON.</exception>
    /// <exception cref="InvalidDataException">A member is missing or has a wrong type; the message names it.</exception>
    public static ModelDescription Read(Stream stream)
    {
        using var document = JsonDocument.Parse(stream);
        return Description(new JsonMembers(document.RootElement));
    }

    private static ModelDescription Description(JsonMembers json)
    {
        var absent = new ModelDescription
        {
            Architecture = json.Text(nameof(ModelDescription.Architecture)),
            Shape = Shape(json.Object(nameof(ModelDescription.Shape))),
            Normalization = Normalization(json.Object(nameof(ModelDescription.Normalization))),
            Labels = Labels(json.Object(nameof(ModelDescription.Labels))),
            FeatureColumn = json.Text(nameof(ModelDescription.FeatureColumn)),
            ScoreColumn = json.Text(nameof(ModelDescription.ScoreColumn)),
            PredictedLabelColumn = json.Text(nameof(ModelDescription.PredictedLabelColumn)),
            FloodLevel = json.Single(nameof(ModelDescription.FloodLevel)),
            History = History(json.Object(nameof(ModelDescription.History))),
        };
        // Older files lack some of these members.
        return absent with
        {
            CenterCrop = json.NumberOrNull(nameof(ModelDescription.CenterCrop)),
            MaxPixels = json.Has(nameof(ModelDescription.MaxPixels)) ? json.Long(nameof(ModelDescription.MaxPixels)) : absent.MaxPixels,
            OnInvalidImage = json.Value(nameof(ModelDescription.OnInvalidImage), absent.OnInvalidImage),
            ScoringPrecision = json.Value(nameof(ModelDescription.ScoringPrecision), absent.ScoringPrecision),
            ScoringEngine = json.Value(nameof(ModelDescription.ScoringEngine), absent.ScoringEngine),
            FeatureKind = json.Value(nameof(ModelDescription.FeatureKind), absent.FeatureKind),
            Temperature = json.Has(nameof(ModelDescription.Temperature))
                ? json.Single(nameof(ModelDescription.Temperature))
                : absent.Temperature,
            PretrainedWeights = json.ObjectOrNull(nameof(ModelDescription.PretrainedWeights)) is { } report ? Report(report) : null,
        };
    }

    private static ImageShape Shape(JsonMembers json) =>
        new(json.Int(nameof(ImageShape.Height)), json.Int(nameof(ImageShape.Width)), json.Int(nameof(ImageShape.Channels)));

    private static Normalization Normalization(JsonMembers json) =>
        new(json.Singles(nameof(Flooding.Images.Normalization.Mean)), json.Singles(nameof(Flooding.Images.Normalization.Deviation)));

    private static LabelKeys Labels(JsonMembers json) => new(
        json.Text(nameof(LabelKeys.RawType)), json.Int(nameof(LabelKeys.Count)), json.TextOrNull(nameof(LabelKeys.ValueType)),
        json.TextsOrNull(nameof(LabelKeys.Values)));

    private static PretrainedWeightsReport Report(JsonMembers json) => new(
        json.Texts(nameof(PretrainedWeightsReport.Loaded)), json.Texts(nameof(PretrainedWeightsReport.Skipped)),
        json.Texts(nameof(PretrainedWeightsReport.Missing)));

    private static TrainingHistory History(JsonMembers json)
    {
        var absent = new TrainingHistory(
            json.Objects(nameof(TrainingHistory.Epochs), Epoch), json.Int(nameof(TrainingHistory.SelectedEpoch)),
            json.Flag(nameof(TrainingHistory.AveragedWeights)));
        return absent with
        {
            FloodLevel = json.Has(nameof(TrainingHistory.FloodLevel)) ? json.Single(nameof(TrainingHistory.FloodLevel)) : 0,
            Stopped = json.Has(nameof(TrainingHistory.Stopped)) && json.Flag(nameof(TrainingHistory.Stopped)),
            Settings = json.Has(nameof(TrainingHistory.Settings))
                ? json.TextByName(nameof(TrainingHistory.Settings))
                : absent.Settings,
            Trials = json.Has(nameof(TrainingHistory.Trials)) ? json.Objects(nameof(TrainingHistory.Trials), Trial) : [],
            HeadTrial = json.ObjectOrNull(nameof(TrainingHistory.HeadTrial)) is { } head ? HeadTrial(head) : null,
        };
    }

    private static EpochMetrics Epoch(JsonMembers json) => new()
    {
        Epoch = json.Int(nameof(EpochMetrics.Epoch)),
        TrainingLoss = json.Number(nameof(EpochMetrics.TrainingLoss)),
        LowestBatchLoss = json.Number(nameof(EpochMetrics.LowestBatchLoss)),
        FloodedShare = json.Number(nameof(EpochMetrics.FloodedShare)),
        ValidationLoss = json.NumberOrNull(nameof(EpochMetrics.ValidationLoss)),
        ValidationAccuracy = json.NumberOrNull(nameof(EpochMetrics.ValidationAccuracy)),
        AveragedValidationLoss = json.NumberOrNull(nameof(EpochMetrics.AveragedValidationLoss)),
        AveragedValidationAccuracy = json.NumberOrNull(nameof(EpochMetrics.AveragedValidationAccuracy)),
        ValidationMetric = json.NumberOrNull(nameof(EpochMetrics.ValidationMetric)),
        AveragedValidationMetric = json.NumberOrNull(nameof(EpochMetrics.AveragedValidationMetric)),
        LearningRate = json.Number(nameof(EpochMetrics.LearningRate)),
        GradientNorm = json.Number(nameof(EpochMetrics.GradientNorm)),
        ImagesPerSecond = json.Number(nameof(EpochMetrics.ImagesPerSecond)),
    };

    private static FloodTrial Trial(JsonMembers json) => new()
    {
        History = History(json.Object(nameof(FloodTrial.History))),
        Pruned = json.Has(nameof(FloodTrial.Pruned)) && json.Flag(nameof(FloodTrial.Pruned)),
        Failure = json.TextOrNull(nameof(FloodTrial.Failure)),
        SharedEpochs = json.Has(nameof(FloodTrial.SharedEpochs)) ? json.Int(nameof(FloodTrial.SharedEpochs)) : 0,
    };

    private static HeadTrial HeadTrial(JsonMembers json) => new(
        json.Number(nameof(Flooding.HeadTrial.LearningRate)), json.Int(nameof(Flooding.HeadTrial.Epochs)),
        json.Number(nameof(Flooding.HeadTrial.Accuracy)), json.Number(nameof(Flooding.HeadTrial.LogLoss)))
    {
        // Models of older versions do not have it.
        WrongLabels = json.NumberOrNull(nameof(Flooding.HeadTrial.WrongLabels)) ?? 0,
    };
}
