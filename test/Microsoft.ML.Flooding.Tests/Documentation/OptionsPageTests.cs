using System.Globalization;
using System.Reflection;
using System.Text.RegularExpressions;

namespace Microsoft.ML.Flooding.Tests.Documentation;

[TestClass]
public sealed partial class OptionsPageTests
{
    private static readonly PropertyInfo[] Options = typeof(FloodedImageClassificationTrainer.Options).GetProperties();

    [TestMethod]
    public void The_table_of_options_has_every_property_and_no_other()
    {
        CollectionAssert.AreEquivalent(Options.Select(o => o.Name).ToArray(), Rows().Select(r => r.Name).ToArray());
    }

    [TestMethod]
    public void The_table_of_options_has_the_defaults_of_the_code()
    {
        var options = new FloodedImageClassificationTrainer.Options();
        foreach (var (name, documented) in Rows())
        {
            var property = typeof(FloodedImageClassificationTrainer.Options).GetProperty(name)!;
            Assert.AreEqual(Text(property.GetValue(options)), documented, $"the default of {name}");
        }
    }

    private static string Text(object? value) => value switch
    {
        null => "null",
        bool b => b ? "true" : "false",
        System.Collections.ICollection { Count: 0 } => "[]",
        string or Enum => value.ToString()!,
        IFormattable number => number.ToString(null, CultureInfo.InvariantCulture),
        EarlyStopping stopping when stopping == new EarlyStopping() => "new()",
        // Options that are objects are documented under the name of the static property that holds the default.
        _ => value.GetType().BaseType!.GetProperties(BindingFlags.Static | BindingFlags.Public)
            .Concat(value.GetType().GetProperties(BindingFlags.Static | BindingFlags.Public))
            .First(p => value.Equals(p.GetValue(null))).Name,
    };

    private static IEnumerable<(string Name, string Default)> Rows()
    {
        var page = File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "Fixtures", "docs", "options.md")).ReplaceLineEndings("\n");
        return Row().Matches(page).Select(m => (m.Groups["name"].Value, m.Groups["default"].Value));
    }

    [GeneratedRegex(@"^\| `(?<name>\w+)` \| `(?<default>[^`]+)` \| [^|]+ \|$", RegexOptions.Multiline)]
    private static partial Regex Row();
}
