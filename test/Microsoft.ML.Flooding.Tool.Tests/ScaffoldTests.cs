using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.ML;
using Microsoft.ML.Flooding;
using Mlflood.Scaffolding;

namespace Mlflood.Tests;

/// <summary>The code that scaffold writes. The test of the journey runs it.</summary>
[TestClass]
public sealed class ScaffoldTests
{
    private const string ImplicitUsings = """
        global using System;
        global using System.Collections.Generic;
        global using System.IO;
        global using System.Linq;
        global using System.Net.Http;
        global using System.Threading;
        global using System.Threading.Tasks;
        global using Microsoft.AspNetCore.Builder;
        global using Microsoft.AspNetCore.Http;
        global using Microsoft.AspNetCore.Routing;
        global using Microsoft.Extensions.DependencyInjection;
        """;

    [TestMethod]
    [DataRow(false)]
    [DataRow(true)]
    public void The_project_compiles_without_warnings(bool isWeb)
    {
        var files = Project.Write("Pets", model: null, isWeb);
        var expected = new[] { "Pets.consumption.cs", "Pets.csproj", "Pets.evaluate.cs", "Pets.training.cs", "Program.cs" };
        CollectionAssert.AreEquivalent(isWeb ? expected.Append("EnginePool.cs").ToList() : expected.ToList(), files.Keys.ToList());
        StringAssert.Contains(files["Pets.training.cs"], "FloodLevel = 0.03f,");
        foreach (var text in files.Values)
        {
            Assert.IsFalse(text.Contains("ImageClassifier", StringComparison.Ordinal), text);
            Assert.IsFalse(text.Contains("_VERSION", StringComparison.Ordinal), text);
        }

        Compile(files);
    }

    /// <summary>The project trains as the model was trained, whatever was set.</summary>
    [TestMethod]
    public void The_training_code_has_the_options_of_the_model()
    {
        const string Lines = """
            ImageWidth = 12,
            ImageHeight = 10,
            OnInvalidImage = OnInvalidImage.Skip,
            Augmentation = new() { CropPadding = 2, FlipProbability = 0.5 },
            BatchSize = 4,
            EarlyStopping = new() { Metric = ValidationMetric.LogLoss, Patience = 3 },
            Epochs = 1,
            LearningRate = 0.05,
            Objective = FloodingObjective.CrossFitted(weight: 0.3, folds: 2, leaveOutSuspects: true),
            Optimizer = Optimizer.AdamW,
            Schedule = LearningRateSchedule.Step(0.5, 0.3, 0.6) with { WarmUpEpochs = 0.5 },
            Seed = 7,
            WeightAveraging = WeightAveraging.None,
            """;
        using var model = Train(new()
        {
            ImageWidth = 12,
            ImageHeight = 10,
            OnInvalidImage = OnInvalidImage.Skip,
            Augmentation = new() { CropPadding = 2, FlipProbability = 0.5 },
            BatchSize = 4,
            EarlyStopping = new() { Metric = ValidationMetric.LogLoss, Patience = 3 },
            LearningRate = 0.05,
            Objective = FloodingObjective.CrossFitted(0.3, leaveOutSuspects: true),
            Optimizer = Optimizer.AdamW,
            Schedule = LearningRateSchedule.Step(0.5, 0.3, 0.6) with { WarmUpEpochs = 0.5 },
            WeightAveraging = WeightAveraging.None,
        });
        var files = Project.Write("Pets", model, isWeb: false);
        foreach (var line in Lines.ReplaceLineEndings("\n").Split('\n'))
            StringAssert.Contains(files["Pets.training.cs"], "            " + line);
        Compile(files);
    }

    [TestMethod]
    [DynamicData(nameof(Objectives))]
    public void Each_objective_is_written_as_code(FloodingObjective objective, string code)
    {
        using var model = Train(new() { Objective = objective });
        var files = Project.Write("Pets", model, isWeb: false);
        StringAssert.Contains(files["Pets.training.cs"], code);
        Compile(files);
    }

    private static IEnumerable<object[]> Objectives() =>
    [
        [FloodingObjective.IndividualFlood, "Objective = FloodingObjective.IndividualFlood,"],
        [FloodingObjective.SoftAscentDescent(0.5), "Objective = FloodingObjective.SoftAscentDescent(sigma: 0.5),"],
        [FloodingObjective.ClassWise(), "Objective = FloodingObjective.ClassWise(),"],
        [FloodingObjective.ClassWise(0, 0.1f, 0.2f, 0.25f), "Objective = FloodingObjective.ClassWise(0f, 0.1f, 0.2f, 0.25f),"],
        [FloodingObjective.LabelSmoothing(), "Objective = FloodingObjective.LabelSmoothing(0.1),"],
        [FloodingObjective.SelfDistilled(0.4), "Objective = FloodingObjective.SelfDistilled(weight: 0.4, teachers: 2),"],
        [FloodingObjective.NoisyLabels(0.2), "Objective = FloodingObjective.NoisyLabels(0.2),"],
        [FloodingObjective.CrossFitted([0.3, 0.7]), "Objective = FloodingObjective.CrossFitted(weight: 0."],
        [FloodingObjective.AdaFlood(0.2), "Objective = FloodingObjective.AdaFlood(gamma: 0.2, folds: 2),"],
        [FloodingObjective.FromFunction("my mean", losses => losses.mean()), "// Objective was FromFunction(my mean)."],
    ];

    private static FloodedImageClassificationTransformer Train(FloodedImageClassificationTrainer.Options options)
    {
        var context = new MLContext();
        var folder = Directory.CreateTempSubdirectory("mlf-").FullName;
        try
        {
            Photos.Write(folder, "train", 6);
            var data = context.Data.LoadFromImageFolder(folder);
            options.Architecture = Architecture.Mlp.WithHiddenSizes(4);
            options.ValidationSetFraction = 0.25;
            (options.Epochs, options.Seed) = (1, 7);
            using var chain = context.Transforms.Conversion.MapValueToKey("Label")
                .Append(context.Transforms.FloodedImageClassification(options)).Fit(data);
            using var saved = new MemoryStream();
            context.Model.Save(chain, null, saved);
            saved.Position = 0;
            return ((IEnumerable<ITransformer>)context.Model.Load(saved, out _)).OfType<FloodedImageClassificationTransformer>().Single();
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static void Compile(IReadOnlyDictionary<string, string> files)
    {
        var references = ((string)AppContext.GetData("TRUSTED_PLATFORM_ASSEMBLIES")!).Split(Path.PathSeparator)
            .Select(path => MetadataReference.CreateFromFile(path));
        var trees = files.Where(file => file.Key.EndsWith(".cs", StringComparison.Ordinal)).Select(file => file.Value)
            .Append(ImplicitUsings).Select(text => CSharpSyntaxTree.ParseText(text));
        var compilation = CSharpCompilation.Create(
            "Pets", trees, references,
            new CSharpCompilationOptions(OutputKind.ConsoleApplication, nullableContextOptions: NullableContextOptions.Enable));
        var problems = compilation.GetDiagnostics().Where(diagnostic => diagnostic.Severity >= DiagnosticSeverity.Warning);
        Assert.AreEqual("", string.Join('\n', problems));
    }

    [TestMethod]
    [DataRow("pets", "Pets")]
    [DataRow("my-model.v2", "MyModelV2")]
    [DataRow("1st", "M1st")]
    [DataRow("---", "ImageClassifier")]
    public void A_file_name_becomes_an_identifier(string text, string name) => Assert.AreEqual(name, Project.Identifier(text));
}
