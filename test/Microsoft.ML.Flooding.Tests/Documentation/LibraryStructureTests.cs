using System.Text.RegularExpressions;

namespace Microsoft.ML.Flooding.Tests.Documentation;

/// <summary>Compares the chart of docs/architecture.md with the source.</summary>
[TestClass]
public sealed partial class LibraryStructureTests
{
    [TestMethod]
    public void No_arrow_runs_back_up_and_the_chart_shows_them_as_they_are()
    {
        var arrows = LibraryStructure.Reduce(LibraryStructure.FindArrows());
        var chart = string.Join('\n', arrows.Select(arrow => $"    {Node(arrow.From)} --> {Node(arrow.To)}"));
        Assert.AreEqual(chart, string.Join('\n', ChartLines()), $"The chart of docs/architecture.md has to be:\n{chart}\n");
    }

    [TestMethod]
    public void A_turned_arrow_is_found()
    {
        const string Upwards = """
            namespace Microsoft.ML.Flooding.Runtime;

            internal static class Upwards
            {
                public static int? Epochs(TrainingOptions options) => options.Epochs;
            }
            """;
        var error = Assert.ThrowsExactly<InvalidOperationException>(
            () => LibraryStructure.Reduce(LibraryStructure.FindArrowsWith("Runtime/Upwards.cs", Upwards)));
        StringAssert.Contains(error.Message, "Runtime/Upwards.cs(5) uses 'TrainingOptions' of ", StringComparison.Ordinal);
    }

    [TestMethod]
    public void The_table_of_folders_has_each_folder()
    {
        var folders = LibraryStructure.ReadSource().Keys.Where(path => path.Contains('/', StringComparison.Ordinal))
            .Select(path => path[..path.IndexOf('/', StringComparison.Ordinal)]).Distinct().Order(StringComparer.Ordinal);
        CollectionAssert.AreEquivalent(
            folders.ToArray(), TableRow().Matches(Page()).Select(row => row.Groups["folder"].Value).ToArray());
    }

    private static string Node(string folder) => folder == LibraryStructure.Top ? "top" : folder;

    private static IEnumerable<string> ChartLines() => ChartArrow().Matches(Page()).Select(line => line.Value.TrimEnd());

    private static string Page() =>
        File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "Fixtures", "docs", "architecture.md")).ReplaceLineEndings("\n");

    [GeneratedRegex(@"^    \w+ --> \w+$", RegexOptions.Multiline)]
    private static partial Regex ChartArrow();

    [GeneratedRegex(@"^\| `(?<folder>\w+)` \|", RegexOptions.Multiline)]
    private static partial Regex TableRow();
}
