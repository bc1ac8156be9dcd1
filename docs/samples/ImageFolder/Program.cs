using System.CommandLine;
using Common;
using ImageFolder;
using Microsoft.ML.Flooding;

var data = new Option<DirectoryInfo>("--data")
{
    Description = "A folder that has a subfolder of images for each class.",
    Required = true,
};
var level = new Option<float>("--b") { Description = "The flood level.", DefaultValueFactory = _ => 0.03f };
var epochs = new Option<int>("--epochs") { Description = "Passes over the training images.", DefaultValueFactory = _ => 60 };
var invalid = new Option<OnInvalidImage>("--on-invalid-image")
{
    Description = "What to do with a file that cannot be read. Throw: stop with an error. Skip: leave the file out and list it.",
};
var model = new Option<FileInfo>("--model")
{
    Description = "The .zip file of the model.",
    DefaultValueFactory = _ => new FileInfo("model.zip"),
    Recursive = true,
};
var image = new Argument<FileInfo>("FILE") { Description = "An image file." };
data.AcceptExistingOnly();
epochs.AcceptAtLeast(1);
image.AcceptExistingOnly();

var predict = new Command("predict", "Predicts the class of an image with a saved model.") { image };
predict.SetAction(arguments => Predict(arguments.GetRequiredValue(image), arguments.GetRequiredValue(model)));

var command = new RootCommand("Trains an image classifier with flooding on a folder of images.")
{
    data, level, epochs, invalid, model, predict,
};
command.SetAction(arguments => TrainModel.Run(
    arguments.GetRequiredValue(data), arguments.GetRequiredValue(level), arguments.GetRequiredValue(epochs), arguments.GetValue(invalid),
    arguments.GetRequiredValue(model)));
return command.Parse(args).Invoke();

static void Predict(FileInfo image, FileInfo file)
{
    using var model = new ConsumeModel(file.FullName);
    var output = model.Predict(new ModelInput { Features = File.ReadAllBytes(image.FullName) });
    Console.WriteLine($"{output.Class}: {output.Score.Max():P1}");
}
