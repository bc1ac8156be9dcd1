using System.CommandLine;
using Mlflood.Terminal;

namespace Mlflood.Verbs;

internal static class TrainVerb
{
    public static Command Create()
    {
        var output = new Option<FileInfo>("--output", "-o")
        {
            Description = "The .zip file of the model.",
            HelpName = "FILE",
            DefaultValueFactory = _ => new FileInfo("model.zip"),
        };
        var training = new Training();
        var command = new Command("train", "Trains an image classifier, saves it, and says how it does on held-out images.") { output };
        training.AddTo(command);
        command.SetAction(result => training.Run(result, result.GetRequiredValue(output)));
        return HelpWithExamples.WithExamples(
            command,
            "mlflood train photos -o pets.zip",
            "mlflood train photos --pretrained-weights ResNet18 --epochs 15",
            "mlflood train labels.csv --validation held-out.csv --flood-level 0.1",
            "mlflood train fashion-mnist --early-stopping on,Patience=10",
            "mlflood train photos --augmentation Photo,ErasingProbability=0");
    }
}
