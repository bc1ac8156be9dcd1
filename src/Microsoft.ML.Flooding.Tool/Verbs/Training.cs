using System.CommandLine;
using System.Globalization;
using Microsoft.ML.Data;
using Microsoft.ML.Runtime;
using Microsoft.ML.Transforms;
using Mlflood.Data;
using Mlflood.Options;
using Mlflood.Terminal;

namespace Mlflood.Verbs;

/// <summary>What the verbs train and search have in common: their options, and a training run.</summary>
internal sealed class Training
{
    /// <summary>The share of the images that is set aside for the figures.</summary>
    private const double DefaultTestFraction = 0.2;

    /// <summary>The most levels of an adaptive search.</summary>
    private const int AdaptiveRuns = 6;

    private readonly Argument<string> _data = DataArgument.Create();
    private readonly TrainerOptions _trainer = new();

    private readonly ClusterOptions _cluster = new(
        "Train on the workers of this cluster. Default: in this process.", isRequired: false);

    private readonly Option<string> _validation = new("--validation")
    {
        Description = "Data to validate on after each epoch. Default: the share --validation-set-fraction of the training data.",
        HelpName = "DATA",
    };

    private readonly Option<double?> _testFraction = new("--test-fraction")
    {
        Description = "The share of the images of each class that is set aside for the figures, from 0 to below 1; 0: none. "
            + "Default: 0.2, or the test images of a data set.",
        HelpName = "NUMBER",
    };

    private readonly Option<FileInfo> _report = new("--report")
    {
        Description = "Also write a report with the learning curves to this .html file.",
        HelpName = "FILE",
    };

    /// <summary>Adds the arguments and options to a command.</summary>
    public void AddTo(Command command)
    {
        _testFraction.Validators.Add(result =>
        {
            if (result.Tokens is [var token] && Number(token.Value) is { } value && !(value >= 0 && value < 1))
                result.AddError($"--test-fraction is {token.Value}. Give a number from 0 to below 1.");
        });
        command.Add(_data);
        command.Add(_validation);
        command.Add(_testFraction);
        command.Add(_report);
        _cluster.AddTo(command);
        foreach (var option in _trainer.All)
            command.Add(option);

        static double? Number(string text) => double.TryParse(
            text, NumberStyles.Float, CultureInfo.InvariantCulture, out var value) ? value : null;
    }

    /// <summary>Trains, saves the model and evaluates it.</summary>
    /// <param name="result">The arguments.</param>
    /// <param name="output">Where the model is saved; null: it is not.</param>
    /// <param name="adjust">Changes the options before training.</param>
    /// <param name="show">Shows more about the model, after the training.</param>
    /// <returns>The <see cref="ExitCode"/>.</returns>
    public int Run(
        ParseResult result, FileInfo? output, Action<FloodedImageClassificationTrainer.Options>? adjust = null,
        Action<FloodedImageClassificationTransformer>? show = null)
    {
        var options = _trainer.Read(result);
        // All ranks train the same model. One shows it and saves it.
        Screen.IsQuiet = options.DataParallel is { Rank: > 0 };
        adjust?.Invoke(options);
        WeightsVerb.Resolve(options);
        if (output is { Directory.Exists: false })
            throw new Failure($"The folder '{output.DirectoryName}' does not exist. Create it, or choose another --output.");

        var context = new MLContext(options.Seed);
        Check(context, options);
        var cluster = _cluster.Connect(result);
        try
        {
            options.Cluster = cluster;
            Check(context, options);
            return Train(context, result, output, options, show);
        }
        finally
        {
            cluster?.DisposeAsync().AsTask().Wait();
        }
    }

    private int Train(
        MLContext context, ParseResult result, FileInfo? output, FloodedImageClassificationTrainer.Options options,
        Action<FloodedImageClassificationTransformer>? show)
    {
        TorchBackend.Load();
        context.Log += (_, e) =>
        {
            if (e.Kind == ChannelMessageKind.Warning)
                Screen.WriteWarning(e.Message.Split("] ", 2)[^1]);
        };

        using var source = new DataArgument(
            context, options.LabelColumnName, new ImageColumns(options.ExampleWeightColumnName, options.SamplingKeyColumnName));
        var name = result.GetRequiredValue(_data);
        var (training, test) = Divide(
            source, source.Load(name, DataSetPart.Train), name, result.GetValue(_testFraction), options.Seed ?? 0);
        if (training.Labels.Count < 2)
            throw new Failure($"'{name}' has the label '{string.Concat(training.Labels)}' only. A classifier needs two classes.");

        var view = training.ToView(context, options.LabelColumnName, options.FeatureColumnName);
        var keys = context.Transforms.Conversion.MapValueToKey(
            options.LabelColumnName, keyOrdinality: ValueToKeyMappingEstimator.KeyOrdinality.ByValue).Fit(view);
        if (result.GetValue(_validation) is { } validation)
        {
            var data = source.Load(validation, DataSetPart.Test);
            options.ValidationSet = keys.Transform(data.ToView(context, options.LabelColumnName, options.FeatureColumnName));
        }

        var runs = options.FloodLevels is { } levels ? levels.Values?.Count ?? AdaptiveRuns : 1;
        var progress = CreateDisplay(options, runs);
        using var interrupt = new Interrupt(() => StopSoon(progress, options.DataParallel is { Size: > 1 }));
        options.StopToken = interrupt.Token;
        Screen.WriteNote($"Training on {training.Rows.Count:N0} images of {training.Labels.Count} classes.");
        using var classifier = progress.Show(
            () => context.Transforms.FloodedImageClassification(options).Fit(keys.Transform(view)));

        // An exit code other than 0 ends the other ranks, and the first one has yet to save the model.
        if (options.DataParallel is { Rank: > 0 })
            return ExitCode.Done;

        var files = new List<string>();
        if (output is not null)
        {
            context.Model.SaveSafely(
                Chain(context, keys, classifier, view, options),
                training.InputSchema(context, options.LabelColumnName, options.FeatureColumnName), output.FullName);
            files.Add(output.FullName);
        }
        Conclude(context, classifier, test, options, result.GetValue(_report), show, files);
        return classifier.History.Stopped ? ExitCode.Stopped : ExitCode.Done;
    }

    /// <summary>Checks the options before any image is read.</summary>
    private static void Check(MLContext context, FloodedImageClassificationTrainer.Options options)
    {
        try
        {
            context.Transforms.FloodedImageClassification(options);
        }
        catch (ArgumentException e)
        {
            throw new WrongOption(e);
        }
    }

    private static ITrainingDisplay CreateDisplay(FloodedImageClassificationTrainer.Options options, int runs)
    {
        if (options.Cluster is { } cluster)
        {
            var table = new ClusterProgress();
            cluster.Progress = table;
            return table;
        }
        var progress = new TrainingProgress(runs);
        options.Callbacks = [progress];
        return progress;
    }

    private static void StopSoon(ITrainingDisplay progress, bool hasRanks)
    {
        progress.IsStopping = true;
        if (hasRanks)
            Screen.WriteNote(
                "Stopping after this step. mpirun ends its processes a second after Ctrl-C, which can be too early to save the model. "
                + "Start it with --mca odls_base_sigkill_timeout 10 to wait longer, or give --checkpoint-directory and run the command "
                + "again.");
        else if (!Screen.IsLive)
            Screen.WriteNote("Stopping after this step. Ctrl-C again ends at once.");
    }

    private static (ImageData Training, ImageData? Test) Divide(
        DataArgument source, ImageData data, string name, double? fraction, int seed)
    {
        if (fraction is null && DataArgument.DataSetOf(name) is { } set && !name.Contains(':', StringComparison.Ordinal))
            return (data, source.Load($"{set}:test", DataSetPart.Test));
        if (fraction == 0)
            return (data, null);
        var (training, test) = data.Split(fraction ?? DefaultTestFraction, seed);
        if (test.Rows.Count > 0)
            return (training, test);
        Screen.WriteWarning("There are too few images to set some aside for the figures.");
        return (data, null);
    }

    private static TransformerChain<ITransformer> Chain(
        MLContext context, ValueToKeyMappingTransformer keys, FloodedImageClassificationTransformer classifier, IDataView view,
        FloodedImageClassificationTrainer.Options options)
    {
        var scored = classifier.Transform(keys.Transform(view));
        var names = context.Transforms.Conversion.MapKeyToValue("PredictedClass", options.PredictedLabelColumnName).Fit(scored);
        return new TransformerChain<ITransformer>(keys, classifier, names);
    }

    private static void Conclude(
        MLContext context, FloodedImageClassificationTransformer classifier, ImageData? test,
        FloodedImageClassificationTrainer.Options options, FileInfo? report, Action<FloodedImageClassificationTransformer>? show,
        List<string> files)
    {
        show?.Invoke(classifier);
        foreach (var image in classifier.History.SkippedImages)
            Screen.WriteWarning($"left out: {image}");
        var columns = new ModelColumns(options.ScoreColumnName, options.PredictedLabelColumnName);
        var evaluation = test is null ? null : Evaluation.Of(context, columns, classifier, test);
        evaluation?.Write("Held-out images", withMistakes: false);
        Screen.WriteResult(classifier.History.ToString());
        if (report is not null)
        {
            ReportVerb.Write(classifier, evaluation, report);
            files.Add(report.FullName);
        }
        foreach (var file in files)
            Screen.WriteResult($"Wrote {file}");
    }
}
