using System.CommandLine;
using System.Reflection;
using Microsoft.ML.Flooding;
using Mlflood.Options;

namespace Mlflood.Tests;

/// <summary>The command-line options of the trainer, which are derived from its Options class.</summary>
[TestClass]
public sealed class TrainerOptionsTests
{
    private static readonly PropertyInfo[] Properties =
        [.. typeof(FloodedImageClassificationTrainer.Options).GetProperties().Where(property => property.SetMethod is { IsPublic: true })];

    [TestMethod]
    public void Every_option_of_the_library_is_on_the_command_line_or_replaced()
    {
        var trainer = new TrainerOptions();
        foreach (var property in Properties.Where(property => !TrainerOptions.Replaced.ContainsKey(property.Name)))
        {
            Assert.IsTrue(
                ValueText.IsSupported(property.PropertyType),
                $"{property.Name} has the type {property.PropertyType}, which cannot be written on a command line.");
            StringAssert.Contains(trainer[property.Name].Description!, ".", property.Name);
        }
        Assert.HasCount(Properties.Length - TrainerOptions.Replaced.Count, trainer.All.ToList());
    }

    [TestMethod]
    public void The_help_says_the_librarys_default()
    {
        var trainer = new TrainerOptions();
        StringAssert.Contains(trainer["Epochs"].Description!, "Default (null): 60");
        StringAssert.Contains(trainer["FloodLevel"].Description!, "Default: 0.03.");
        StringAssert.Contains(trainer["Architecture"].Description!, "Default: Auto.");
        foreach (var option in trainer.All)
            StringAssert.Contains(option.Description!, "Default", option.Name);
    }

    [TestMethod]
    public void Without_arguments_the_options_are_the_librarys()
    {
        var (expected, actual) = (new FloodedImageClassificationTrainer.Options(), Parse());
        foreach (var property in Properties.Where(property => property.Name != nameof(TrainingOptions.Callbacks)))
            Assert.AreEqual(property.GetValue(expected), property.GetValue(actual), property.Name);
    }

    [TestMethod]
    public void Values_of_every_kind_are_read()
    {
        var options = Parse(
            "--flood-level", "0.2", "--epochs", "7", "--nesterov", "--cache-on-disk", "false", "--optimizer", "adamw", "--seed", "3",
            "--architecture", "resnet18-width8-small", "--schedule", "Step:0.1:0.5:0.8,WarmUpEpochs=2", "--augmentation",
            "small,ErasingProbability=0.25", "--objective", "AdaFlood:0.2", "--flood-levels", "Range:0:0.1:0.05,Metric=Accuracy",
            "--early-stopping", "Patience=5", "--weight-averaging", "Decay=0.9", "--class-weights", "Create:1:2",
            "--max-gradient-norm", "1", "--validation-set-fraction", "null", "--label-column-name", "Class", "--on-invalid-image", "Skip",
            "--max-cache-bytes", "5000000000");

        Assert.AreEqual(0.2f, options.FloodLevel);
        Assert.AreEqual(7, options.Epochs);
        Assert.IsTrue(options.Nesterov);
        Assert.IsFalse(options.CacheOnDisk);
        Assert.AreEqual(Optimizer.AdamW, options.Optimizer);
        Assert.AreEqual(3, options.Seed);
        Assert.AreEqual(Architecture.ResNet18.WithBaseWidth(8).WithStem(Stem.Small), options.Architecture);
        Assert.AreEqual(LearningRateSchedule.Step(0.1, 0.5, 0.8) with { WarmUpEpochs = 2 }, options.Schedule);
        Assert.AreEqual(Augmentation.Small with { ErasingProbability = 0.25 }, options.Augmentation);
        Assert.AreEqual(FloodingObjective.AdaFlood(0.2), options.Objective);
        CollectionAssert.AreEqual(new[] { 0, 0.05f, 0.1f }, options.FloodLevels!.Values!.ToArray());
        Assert.AreSame(ValidationMetric.Accuracy, options.FloodLevels.Metric);
        Assert.AreEqual(new EarlyStopping { Patience = 5 }, options.EarlyStopping);
        Assert.AreEqual(new WeightAveraging { Decay = 0.9 }, options.WeightAveraging);
        Assert.AreEqual(ClassWeights.Create(1, 2), options.ClassWeights);
        Assert.AreEqual(1.0, options.MaxGradientNorm);
        Assert.IsNull(options.ValidationSetFraction);
        Assert.AreEqual("Class", options.LabelColumnName);
        Assert.IsNull(Parse("--early-stopping", "null").EarlyStopping);
        Assert.AreEqual(OnInvalidImage.Skip, options.OnInvalidImage);
        Assert.AreEqual(5_000_000_000, options.MaxCacheBytes);
    }

    [TestMethod]
    [DataRow("--early-stopping", "on", "")]
    [DataRow("--objective", "ClassWise", "")]
    [DataRow("--objective", "ClassWise:0.1:0.2", "")]
    [DataRow("--objective", "SoftAscentDescent", "")]
    [DataRow("--flood-levels", "Adaptive", "")]
    [DataRow("--epochs", "x", "'x' is not a whole number")]
    [DataRow("--epochs", "1.5", "'1.5' is not a whole number")]
    [DataRow("--momentum", "0,9", "'0,9' is not a number")]
    [DataRow("--optimizer", "7", "Sgd, Adam, AdamW")]
    [DataRow("--optimizer", "Lion", "Sgd, Adam, AdamW")]
    [DataRow("--schedule", "Linear", "Constant, Cosine, Paper, Step:factor:milestones")]
    [DataRow("--schedule", "Step:2:0.5", "The factor must be in (0, 1]")]
    [DataRow("--augmentation", "Small,Blur=1", "Augmentation has no property 'Blur'")]
    [DataRow("--augmentation", "Small,FlipProbability=2", "FlipProbability must be from 0 to 1")]
    [DataRow("--augmentation", "Small,Photo", "not a value of Augmentation")]
    [DataRow("--architecture", "resnet19", "resnet19")]
    [DataRow("--flood-levels", "Range:0:0.1", "Range:first:last:step")]
    public void A_value_is_read_or_the_error_says_what_is_one(string option, string value, string message)
    {
        var errors = string.Join('\n', Command(new TrainerOptions()).Parse([option, value]).Errors.Select(error => error.Message));
        if (message.Length == 0)
            Assert.AreEqual("", errors);
        else
            StringAssert.Contains(errors, message);
    }

    private static FloodedImageClassificationTrainer.Options Parse(params string[] arguments)
    {
        var trainer = new TrainerOptions();
        var result = Command(trainer).Parse(arguments);
        Assert.AreEqual("", string.Join('\n', result.Errors.Select(error => error.Message)));
        return trainer.Read(result);
    }

    private static RootCommand Command(TrainerOptions trainer)
    {
        var command = new RootCommand();
        foreach (var option in trainer.All)
            command.Add(option);
        return command;
    }
}
