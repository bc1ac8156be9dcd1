using System.Globalization;
using System.Text.RegularExpressions;
using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Networks;

namespace Microsoft.ML.Flooding.Tests.Documentation;

/// <summary>The table of docs/transfer.md.</summary>
[TestClass]
public sealed partial class ArchitectureTableTests
{
    [TestMethod]
    public void The_table_of_architectures_has_each_with_its_cost()
    {
        var expected = Architecture.All.Where(a => !a.Equals(Architecture.Auto)).Select(Cost).ToArray();
        CollectionAssert.AreEqual(expected, Rows().ToArray(), string.Join('\n', expected));
    }

    private static string Cost(Architecture architecture)
    {
        var (shape, classes) = architecture.Preprocessing is null ? (new ImageShape(28, 28, 1), 10) : (new ImageShape(224, 224, 3), 1000);
        using var network = architecture.CreateEmpty(shape, classes);
        var complexity = Complexity.Of(network, shape);
        return string.Create(CultureInfo.InvariantCulture,
            $"| `{architecture}` | {shape.Width} x {shape.Height} x {shape.Channels} | {complexity.Parameters:N0} "
            + $"| {complexity.MultiplyAdds / 1e6:N1} |");
    }

    private static IEnumerable<string> Rows()
    {
        var page = File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "Fixtures", "docs", "transfer.md")).ReplaceLineEndings("\n");
        var start = page.IndexOf("<!-- architectures:", StringComparison.Ordinal);
        var table = page[start..page.IndexOf("<!-- /architectures -->", StringComparison.Ordinal)];
        return Row().Matches(table).Select(m => m.Value);
    }

    /// <summary>A row without its last two columns, which are measured.</summary>
    [GeneratedRegex(@"^\| `[^|]+ \| [^|]+ \| [^|]+ \| [^|]+ \|", RegexOptions.Multiline)]
    private static partial Regex Row();
}
