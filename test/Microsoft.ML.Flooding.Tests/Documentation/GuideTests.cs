using System.Text.RegularExpressions;

namespace Microsoft.ML.Flooding.Tests.Documentation;

/// <summary>The contents of the guide. The site's build finds broken links; these tests find pages that nothing links to.</summary>
[TestClass]
public sealed partial class GuideTests
{
    private static readonly string Docs = Path.Combine(Artifacts.Repository, "docs");

    [TestMethod]
    public void The_contents_list_every_page() => CollectionAssert.AreEquivalent(
        Directory.EnumerateFiles(Docs, "*.md").Select(Path.GetFileName).ToArray(),
        Matches(Page(), "toc.yml"),
        "docs/toc.yml has to list each page of docs once.");

    [TestMethod]
    public void The_samples_page_has_a_section_for_each_program() => CollectionAssert.AreEquivalent(
        Directory.EnumerateFiles(Path.Combine(Docs, "samples"), "*.csproj", SearchOption.AllDirectories)
            .Select(Path.GetFileNameWithoutExtension).Where(project => project != "Common").ToArray(),
        Matches(Section(), "samples/README.md"),
        "docs/samples/README.md has to have a section for each sample.");

    private static string[] Matches(Regex name, string file) =>
        [.. name.Matches(File.ReadAllText(Path.Combine(Docs, file))).Select(match => match.Groups["name"].Value)];

    [GeneratedRegex(@"^\s*href: (?<name>[\w-]+\.md)\r?$", RegexOptions.Multiline)]
    private static partial Regex Page();

    [GeneratedRegex(@"^## (?<name>\w+)\r?$", RegexOptions.Multiline)]
    private static partial Regex Section();
}
