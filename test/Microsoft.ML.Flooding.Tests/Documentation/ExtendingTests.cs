using System.Reflection;
using System.Text.RegularExpressions;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.ML.Flooding.Tests.Pipeline;

namespace Microsoft.ML.Flooding.Tests.Documentation;

/// <summary>The snippets of docs/extending.md, compiled and run.</summary>
[TestClass]
public sealed partial class ExtendingTests
{
    private const string Usings = """
        using System;
        using System.Threading;
        using Microsoft.ML;
        using Microsoft.ML.Flooding;
        using TorchSharp;
        var (context, train) = Microsoft.ML.Flooding.Tests.Documentation.ExtendingTests.CreateVariables();

        """;

    public static IEnumerable<object[]> Snippets => Page().Select((snippet, i) => new object[] { i, snippet });

    /// <summary>The two variables that each snippet uses.</summary>
    public static (MLContext Context, IDataView Train) CreateVariables()
    {
        var context = new MLContext(seed: 1);
        return (context, FashionMnistData.Train(context, 120));
    }

    [TestMethod]
    [DynamicData(nameof(Snippets))]
    public void A_snippet_compiles_and_runs(int number, string snippet)
    {
        var references = ((string)AppContext.GetData("TRUSTED_PLATFORM_ASSEMBLIES")!).Split(Path.PathSeparator)
            .Select(path => MetadataReference.CreateFromFile(path));
        var compilation = CSharpCompilation.Create(
            $"extending-{number}", [CSharpSyntaxTree.ParseText(Usings + snippet)], references,
            new CSharpCompilationOptions(OutputKind.ConsoleApplication, nullableContextOptions: NullableContextOptions.Enable));
        using var assembly = new MemoryStream();
        var result = compilation.Emit(assembly);
        Assert.IsTrue(result.Success, string.Join('\n', result.Diagnostics) + '\n' + snippet);
        Assembly.Load(assembly.ToArray()).EntryPoint!.Invoke(null, [Array.Empty<string>()]);
    }

    [TestMethod]
    public void There_is_a_snippet_for_each_extension()
    {
        var all = string.Concat(Page());
        string[] names =
        [
            "FloodingObjective.FromFunction", "LearningRateSchedule.FromFunction", "TrainingCallback", "ValidationMetric.FromFunction",
        ];
        foreach (var name in names)
            StringAssert.Contains(all, name);
    }

    private static IEnumerable<string> Page() =>
        Snippet().Matches(File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "Fixtures", "extending.md")).ReplaceLineEndings("\n"))
            .Select(match => match.Groups["code"].Value);

    [GeneratedRegex("^```csharp\n(?<code>.*?)^```$", RegexOptions.Multiline | RegexOptions.Singleline)]
    private static partial Regex Snippet();
}
