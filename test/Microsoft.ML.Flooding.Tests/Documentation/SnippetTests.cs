using System.Reflection;
using System.Text.RegularExpressions;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.ML.Flooding.Tests.Pipeline;

namespace Microsoft.ML.Flooding.Tests.Documentation;

/// <summary>The C# snippets of README.md and of the pages in docs.</summary>
[TestClass]
public sealed partial class SnippetTests
{
    /// <summary>What a page takes for granted: the usings of a console project and the variables that its text introduces.</summary>
    private const string Given = """
        global using System;
        global using System.Collections.Generic;
        global using System.IO;
        global using System.Linq;
        global using System.Threading;
        global using System.Threading.Tasks;
        global using Microsoft.ML;
        global using Microsoft.ML.Flooding;
        global using TorchSharp;
        global using Introduced;
        global using static Introduced.Variables;
        using Microsoft.ML.Data;

        namespace Introduced;

        public static class Variables
        {
            public static MLContext context { get; } = new(seed: 1);
            public static IDataView train => Microsoft.ML.Flooding.Tests.Documentation.SnippetTests.Train(context);
            public static IDataView test => train;
            public static IDataView images => train;
            public static IDataView photos => train;
            public static IDataView newData => train;
            public static FloodedImageClassificationTrainer trainer => context.Transforms.FloodedImageClassification();
            public static IEstimator<TransformerChain<FloodedImageClassificationTransformer>> pipeline =>
                new EstimatorChain<ITransformer>().Append(trainer);
            public static FloodedImageClassificationTransformer model => trainer.Fit(train);
            public static IDataView scored => model.Transform(test);
        }

        public class ModelInput
        {
            public string Label { get; set; } = "";
            public byte[] Image { get; set; } = [];
        }

        public class ModelOutput
        {
            public string Class { get; set; } = "";
            public float[] Score { get; set; } = [];
        }

        public class OwnNetwork(int classes, int channels)
            : TorchSharp.torch.nn.Module<TorchSharp.torch.Tensor, TorchSharp.torch.Tensor>($"{classes}, {channels}")
        {
            public override TorchSharp.torch.Tensor forward(TorchSharp.torch.Tensor input) => input;
        }
        """;

    private static readonly string Pages = Path.Combine(AppContext.BaseDirectory, "Fixtures", "docs");

    private static readonly MetadataReference[] References =
    [
        .. ((string)AppContext.GetData("TRUSTED_PLATFORM_ASSEMBLIES")!).Split(Path.PathSeparator)
            .Select(path => MetadataReference.CreateFromFile(path)),
    ];

    public static IEnumerable<object[]> All =>
        from page in Directory.EnumerateFiles(Pages, "*.md", SearchOption.AllDirectories).Order(StringComparer.Ordinal)
        from snippet in Snippets(page)
        select new object[] { Path.GetRelativePath(Pages, page), snippet };

    public static IEnumerable<object[]> Extensions => Page("extending.md").Select(snippet => new object[] { snippet });

    /// <summary>The training data of the snippets that run.</summary>
    public static IDataView Train(MLContext context) => FashionMnistData.Train(context, 120);

    [TestMethod]
    [DynamicData(nameof(All))]
    public void A_snippet_compiles(string page, string snippet) => Compile(page, snippet);

    [TestMethod]
    [DynamicData(nameof(Extensions))]
    public void A_snippet_about_extending_runs(string snippet) =>
        Assembly.Load(Compile("extending.md", snippet)).EntryPoint!.Invoke(null, [Array.Empty<string>()]);

    [TestMethod]
    public void There_is_a_snippet_for_each_extension()
    {
        var all = string.Concat(Page("extending.md"));
        string[] names =
        [
            "FloodingObjective.FromFunction", "LearningRateSchedule.FromFunction", "TrainingCallback", "ValidationMetric.FromFunction",
        ];
        foreach (var name in names)
            StringAssert.Contains(all, name);
    }

    private static byte[] Compile(string page, string snippet)
    {
        // A snippet may show a single option.
        var isOption = OptionAssignment().IsMatch(snippet);
        var code = isOption ? $"var options = new FloodedImageClassificationTrainer.Options {{ {snippet} }};" : snippet;
        var compilation = CSharpCompilation.Create(
            "snippet", [CSharpSyntaxTree.ParseText(Given), CSharpSyntaxTree.ParseText(code)], References,
            new CSharpCompilationOptions(OutputKind.ConsoleApplication, nullableContextOptions: NullableContextOptions.Enable));
        using var assembly = new MemoryStream();
        var errors = compilation.Emit(assembly).Diagnostics.Where(IsError).ToArray();
        Assert.IsEmpty(errors, $"{page}: {string.Join('\n', errors.AsEnumerable())}\n{snippet}");
        return assembly.ToArray();
    }

    // A snippet without statements, such as one of types or usings, has no entry point (CS5001).
    private static bool IsError(Diagnostic diagnostic) => diagnostic is { Severity: DiagnosticSeverity.Error, Id: not "CS5001" };

    private static IEnumerable<string> Page(string name) => Snippets(Path.Combine(Pages, name));

    private static IEnumerable<string> Snippets(string path) =>
        Snippet().Matches(File.ReadAllText(path).ReplaceLineEndings("\n")).Select(match => match.Groups["code"].Value);

    [GeneratedRegex("^```csharp\n(?<code>.*?)^```$", RegexOptions.Multiline | RegexOptions.Singleline)]
    private static partial Regex Snippet();

    [GeneratedRegex(@"^[A-Z]\w* = [^;]*$")]
    private static partial Regex OptionAssignment();
}
