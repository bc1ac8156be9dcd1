using System.Globalization;

namespace Microsoft.ML.Flooding.Reports;

/// <summary>The page of label issues.</summary>
internal static partial class HtmlReport
{
    private const int MostRows = 300;
    private const int MostOverlaps = 30;

    public static string Of(LabelIssues issues, string title)
    {
        var more = issues.Issues.Count > MostRows
            ? FormattableString.Invariant($"<p>The first {MostRows} of {issues.Issues.Count} are shown.</p>")
            : "";
        return Page(title, $"""
            <h1>{Encode(title)}</h1>
            <p>{Encode(issues.ToString())}</p>
            <p class="advice">Each image was rated by a network that was not trained on it. Look at the images before you change a label:
            a difficult image can have a correct label.</p>
            <h2>Labels that are probably wrong</h2>
            {more}
            {IssueTable(issues)}
            {(issues.Duplicates.Count > 0 ? "<h2>Duplicates with different labels</h2>\n" + DuplicateTable(issues) : "")}
            {(issues.Overlaps.Count > 0 ? "<h2>Classes that overlap</h2>\n" + OverlapTable(issues) : "")}
            """);
    }

    private static string IssueTable(LabelIssues issues) => Table(
        "<th>Image</th><th>Label</th><th>Suggested</th>" + NumberHead("Probability") + NumberHead("of the label") + NumberHead("Row")
        + "<th></th>",
        issues.Issues.Take(MostRows).Select(issue =>
            $"<tr><td>{Picture(issues, issue.Row)}</td><td>{Encode(issue.Label)}</td><td>{Encode(issue.SuggestedLabel)}</td>"
            + Number($"{issue.SuggestedProbability:0.00}") + Number($"{issue.SelfConfidence:0.000}") + Number($"{issue.Row}")
            + $"<td class=\"setting\">{Encode(string.Join(", ", issue.Texts.Values))}</td></tr>"));

    private static string DuplicateTable(LabelIssues issues) => Table(
        "<th>Images</th><th></th>",
        issues.Duplicates.Take(MostRows).Select(group =>
        {
            var images = group.Rows.Zip(group.Labels, (row, label) => string.Create(
                CultureInfo.InvariantCulture,
                $"<figure class=\"thumbnail\">{Picture(issues, row)}<figcaption>{Encode(label)}, row {row}</figcaption></figure>"));
            return $"<tr><td>{string.Concat(images)}</td><td>{(group.IsExact ? "identical" : "similar")}</td></tr>";
        }));

    private static string OverlapTable(LabelIssues issues) => Table(
        "<th>Label</th><th>Probably</th>" + NumberHead("Images, estimated") + NumberHead("Share of the label"),
        issues.Overlaps.Take(MostOverlaps).Select(overlap =>
            $"<tr><td>{Encode(overlap.Label)}</td><td>{Encode(overlap.TrueLabel)}</td>"
            + Number($"{overlap.Count:0}") + Number($"{overlap.Share:P1}") + "</tr>"));

    private static string Picture(LabelIssues issues, long row) => issues.PictureOf(row) is { } png
        ? $"<img class=\"thumbnail\" alt=\"row {row.ToString(CultureInfo.InvariantCulture)}\" "
            + $"src=\"data:image/png;base64,{Convert.ToBase64String(png)}\">"
        : "";
}
