using System.CommandLine;
using Mlflood.Data;
using Mlflood.Terminal;

namespace Mlflood.Verbs;

internal static class EvaluateVerb
{
    public static Command Create()
    {
        var model = ModelFile.Argument();
        var data = DataArgument.Create();
        var report = new Option<FileInfo>("--report") { Description = "Also write a report to this .html file.", HelpName = "FILE" };
        var command = new Command("evaluate", "Evaluates a model on labeled images: figures, confusions and the worst mistakes.")
        {
            model, data, report,
        };
        command.SetAction(result => Run(result.GetRequiredValue(model), result.GetRequiredValue(data), result.GetValue(report)));
        return HelpWithExamples.WithExamples(
            command, "mlflood evaluate pets.zip new-photos", "mlflood evaluate model.zip fashion-mnist:test --report report.html");
    }

    private static int Run(FileInfo model, string data, FileInfo? report)
    {
        var context = new MLContext();
        using var source = new DataArgument(context);
        var images = source.Load(data, DataSetPart.Test);
        using var file = ModelFile.Load(context, model);
        var evaluation = Evaluation.Of(context, file.Columns, file.Classifier, images);
        evaluation.Write(data, withMistakes: true);
        if (report is not null)
        {
            ReportVerb.Write(file.Classifier, evaluation, report);
            Screen.WriteResult($"Wrote {report.FullName}");
        }
        return ExitCode.Done;
    }
}
