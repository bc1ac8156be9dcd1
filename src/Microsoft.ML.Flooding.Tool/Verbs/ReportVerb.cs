using System.CommandLine;
using Mlflood.Data;
using Mlflood.Terminal;

namespace Mlflood.Verbs;

internal static class ReportVerb
{
    public static Command Create()
    {
        var model = ModelFile.Argument();
        var output = new Option<FileInfo>("--output", "-o")
        {
            Description = "The .html file of the report.",
            HelpName = "FILE",
            DefaultValueFactory = _ => new FileInfo("report.html"),
        };
        var plots = new Option<DirectoryInfo>("--plots")
        {
            Description = "Also write the plots as .png files to this folder.",
            HelpName = "FOLDER",
        };
        var command = new Command("report", "Writes the learning curves of a model's training to an .html file.") { model, output, plots };
        command.SetAction(result => Run(result.GetRequiredValue(model), result.GetRequiredValue(output), result.GetValue(plots)));
        return HelpWithExamples.WithExamples(command, "mlflood report pets.zip -o pets.html", "mlflood report pets.zip --plots plots");
    }

    /// <summary>Writes a report with the results of an evaluation.</summary>
    public static void Write(FloodedImageClassificationTransformer model, Evaluation? evaluation, FileInfo file) =>
        model.History.SaveReport(file.FullName, new ReportOptions
        {
            Calibration = evaluation?.Calibration,
            ConfusionMatrix = evaluation?.Metrics.ConfusionMatrix,
            Labels = model.Labels,
        });

    private static int Run(FileInfo model, FileInfo output, DirectoryInfo? plots)
    {
        using var file = ModelFile.Load(new MLContext(), model);
        Write(file.Classifier, evaluation: null, output);
        Screen.WriteResult($"Wrote {output.FullName}");
        if (plots is not null)
        {
            file.Classifier.History.SavePlots(plots.FullName);
            Screen.WriteResult($"Wrote {plots.FullName}");
        }
        Screen.WriteResult(file.Classifier.History.Stages.Advice);
        return ExitCode.Done;
    }
}
