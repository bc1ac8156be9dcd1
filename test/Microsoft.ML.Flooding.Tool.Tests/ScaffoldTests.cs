using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
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
