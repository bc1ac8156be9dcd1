using System.CommandLine;
using Mlflood.Data;
using Mlflood.Terminal;

namespace Mlflood.Verbs;

internal static class ExportVerb
{
    public static Command Create()
    {
        var model = ModelFile.Argument();
        var onnx = new Option<FileInfo>("--onnx")
        {
            Description = "Write an ONNX file, for ONNX Runtime. Its input is pixels from 0 to 255.",
            HelpName = "FILE",
        };
        var safetensors = new Option<FileInfo>("--safetensors")
        {
            Description = "Write the weights with torchvision's names, for Python or --pretrained-weights.",
            HelpName = "FILE",
        };
        var command = new Command("export", "Exports a model to ONNX or its weights to safetensors.") { model, onnx, safetensors };
        command.Validators.Add(result =>
        {
            if (result.GetResult(onnx) is null && result.GetResult(safetensors) is null)
                result.AddError("There is nothing to export. Give --onnx FILE, --safetensors FILE, or both.");
        });
        command.SetAction(result => Run(result.GetRequiredValue(model), result.GetValue(onnx), result.GetValue(safetensors)));
        return HelpWithExamples.WithExamples(
            command, "mlflood export pets.zip --onnx pets.onnx", "mlflood export pets.zip --safetensors pets.safetensors");
    }

    private static int Run(FileInfo model, FileInfo? onnx, FileInfo? safetensors)
    {
        using var file = ModelFile.Load(new MLContext(), model);
        if (onnx is not null)
        {
            file.Classifier.SaveAsOnnx(onnx.FullName);
            Screen.WriteResult($"Wrote {onnx.FullName}");
        }
        if (safetensors is not null)
        {
            file.Classifier.SaveAsSafetensors(safetensors.FullName);
            Screen.WriteResult($"Wrote {safetensors.FullName}");
        }
        return ExitCode.Done;
    }
}
