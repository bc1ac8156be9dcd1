using System.Globalization;
using System.Text;
using Microsoft.ML.Flooding.Reports;

namespace Microsoft.ML.Flooding;

/// <summary>Saves <see cref="LabelIssues"/> to files.</summary>
public static class LabelIssueReport
{
    /// <summary>
    /// Writes a self-contained HTML file: the suspected images with thumbnails (the first 300), the duplicates with different labels, and
    /// the classes that overlap. The file needs no network access and follows the reader's light or dark scheme.
    /// </summary>
    /// <param name="issues">The issues.</param>
    /// <param name="path">The path of the file. An existing file is overwritten.</param>
    /// <param name="title">The heading.</param>
    /// <exception cref="IOException">The file cannot be written.</exception>
    public static void SaveReport(this LabelIssues issues, string path, string title = "Label issues")
    {
        ArgumentNullException.ThrowIfNull(issues);
        ArgumentException.ThrowIfNullOrEmpty(path);
        File.WriteAllText(path, HtmlReport.Of(issues, title));
    }

    /// <summary>
    /// Writes the suspected images to a CSV file (RFC 4180, UTF-8): row, label, suggested label, its probability, self-confidence,
    /// normalized margin, and the texts of the row.
    /// </summary>
    /// <param name="issues">The issues.</param>
    /// <param name="path">The path of the file. An existing file is overwritten.</param>
    /// <exception cref="IOException">The file cannot be written.</exception>
    public static void SaveCsv(this LabelIssues issues, string path)
    {
        ArgumentNullException.ThrowIfNull(issues);
        ArgumentException.ThrowIfNullOrEmpty(path);
        string[] texts = [.. issues.Issues.SelectMany(issue => issue.Texts.Keys).Distinct()];
        var csv = new StringBuilder();
        Append(["Row", "Label", "SuggestedLabel", "SuggestedProbability", "SelfConfidence", "NormalizedMargin", .. texts]);
        foreach (var issue in issues.Issues)
            Append([
                Format(issue.Row), issue.Label, issue.SuggestedLabel, Format(issue.SuggestedProbability), Format(issue.SelfConfidence),
                Format(issue.NormalizedMargin), .. texts.Select(name => issue.Texts.GetValueOrDefault(name) ?? ""),
            ]);
        File.WriteAllText(path, csv.ToString());

        void Append(IEnumerable<string> fields) => csv.AppendJoin(',', fields.Select(Quote)).Append("\r\n");
    }

    private static string Format(IFormattable value) => value.ToString(value is double ? "0.######" : null, CultureInfo.InvariantCulture);

    private static string Quote(string field) =>
        field.AsSpan().ContainsAny("\",\r\n") ? $"\"{field.Replace("\"", "\"\"", StringComparison.Ordinal)}\"" : field;
}
