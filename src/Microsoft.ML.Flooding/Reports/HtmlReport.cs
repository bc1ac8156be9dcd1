using System.Globalization;
using System.Net;
using System.Text.RegularExpressions;
using Microsoft.ML.Data;
using OxyPlot;

namespace Microsoft.ML.Flooding.Reports;

/// <summary>The report as one HTML document.</summary>
internal static partial class HtmlReport
{
    // The policy forbids loading anything, so that even a value that is not encoded correctly cannot reach the network.
    private const string Policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";

    private const string Style = """
        body{margin:0 auto;max-width:920px;padding:24px;background:var(--paper);color:var(--ink);font:16px/1.5 system-ui,sans-serif}
        h1{font-size:1.6rem;margin:.2em 0}h2{font-size:1.15rem;margin:2em 0 .2em}
        p{margin:.3em 0}.advice{border-left:4px solid var(--water);padding:.4em .8em;margin:1em 0}
        figure{margin:.5em 0}svg{width:100%;height:auto;display:block}
        .scroll{overflow-x:auto}table{border-collapse:collapse;font-size:.9rem}
        th,td{padding:.25em .7em;border-bottom:1px solid var(--line);text-align:left}
        td.number,th.number{text-align:right;font-variant-numeric:tabular-nums}
        td.setting{overflow-wrap:anywhere}tr.chosen{font-weight:600}
        img.thumbnail{width:72px;image-rendering:auto;display:block}figure.thumbnail{display:inline-block;margin:.3em .8em .3em 0}
        figcaption{font-size:.8rem}
        """;

    private static string Colors =>
        $":root{{--paper:#ffffff;{Palette.LightVariables}}}"
        + $"@media (prefers-color-scheme:dark){{:root{{--paper:#14171f;{Palette.DarkVariables}}}}}";

    public static string Of(TrainingHistory history, ReportOptions options, int width, int height)
    {
        var plots = Plot.Of(history, options).Select(p =>
            $"<h2>{Encode(p.Title)}</h2>\n<p>{Encode(p.Caption)}</p>\n<figure>{Drawing(p, width, height)}</figure>\n"
            + (p.Name == "trials" ? TrialTable(history) : ""));
        return Page(options.Title, $"""
            <h1>{Encode(options.Title)}</h1>
            <p>{Encode(history.ToString())}</p>
            <p class="advice">{Encode(history.Stages.Advice)}</p>
            {string.Concat(plots)}
            {(options.ConfusionMatrix is { } matrix ? ConfusionTable(matrix, options.Labels) : "")}
            {(history.Settings.Count > 0 ? SettingsTable(history.Settings) : "")}
            """);
    }

    private static string Page(string title, string body) => $"""
        <!DOCTYPE html>
        <html lang="en"><head><meta charset="utf-8">
        <meta http-equiv="Content-Security-Policy" content="{Policy}">
        <meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">
        <title>{Encode(title)}</title>
        <style>{Colors}{Style}</style></head>
        <body>
        {body}
        </body></html>
        """;

    private static string Drawing(Plot plot, int width, int height)
    {
        var exporter = new SvgExporter
        {
            Width = width,
            Height = height,
            IsDocument = false,
            UseVerticalTextAlignmentWorkaround = true,
            TextMeasurer = new RoomyText(),
        };
        // Names must be unique in a page, but each drawing numbers its clip paths from 1.
        var svg = exporter.ExportToString(plot.Model)
            .Replace("clipPath", $"{plot.Name}-clip", StringComparison.Ordinal)
            .Replace($"<{plot.Name}-clip", "<clipPath", StringComparison.Ordinal)
            .Replace($"</{plot.Name}-clip", "</clipPath", StringComparison.Ordinal);
        return Palette.WithVariables(SvgSize().Replace(
            svg, $"<svg role=\"img\" aria-label=\"{Encode(plot.Title)}\" viewBox=\"0 0 {width} {height}\"", 1));
    }

    private static string TrialTable(TrainingHistory history)
    {
        string[] heads = ["Run", "Validation loss", "Accuracy", "Epochs", "Shared with plain"];
        return Table(string.Concat(heads.Select(NumberHead)) + "<th></th>", history.Trials.Select(trial =>
        {
            var isChosen = trial.IsOf(history);
            var remark = trial.Failure is not null ? "diverged" : trial.Pruned ? "pruned" : isChosen ? "chosen" : "";
            return $"<tr{(isChosen ? " class=\"chosen\"" : "")}>"
                + $"<td class=\"number\">{Encode(trial.Describe(history))}</td>" + Number($"{trial.ValidationLoss:0.0000}")
                + Number($"{trial.ValidationAccuracy:P1}")
                + Number($"{trial.History.Epochs.Count}") + Number($"{trial.SharedEpochs}") + $"<td>{remark}</td></tr>";
        }));
    }

    private static string ConfusionTable(ConfusionMatrix matrix, IReadOnlyList<string>? labels)
    {
        var names = Enumerable.Range(0, matrix.NumberOfClasses)
            .Select(i => labels is not null && i < labels.Count ? labels[i] : (i + 1).ToString(CultureInfo.InvariantCulture)).ToArray();
        var head = "<th>Actual \\ predicted</th>"
            + string.Concat(names.Select(NumberHead))
            + NumberHead("Recall");
        var rows = matrix.Counts.Select((row, actual) =>
        {
            var total = row.Sum();
            var cells = row.Select((count, predicted) =>
            {
                var color = actual == predicted ? "averaged" : "stage-c";
                var percent = total > 0 ? 60 * count / total : 0;
                return string.Create(
                    CultureInfo.InvariantCulture,
                    $"<td class=\"number\" style=\"background:color-mix(in srgb,var(--{color}) {percent:0}%,transparent)\">"
                    + $"{count:0.####}</td>");
            });
            var recall = total > 0 ? (row[actual] / total).ToString("P0", CultureInfo.InvariantCulture) : "";
            return $"<tr><th>{Encode(names[actual])}</th>{string.Concat(cells)}<td class=\"number\">{recall}</td></tr>";
        });
        return "<h2>Confusion matrix</h2>\n" + Table(head, rows);
    }

    private static string SettingsTable(IReadOnlyDictionary<string, string> settings) => "<h2>Settings</h2>\n" + Table(
        "<th>Setting</th><th>Value</th>",
        settings.Select(s => $"<tr><td>{Encode(s.Key)}</td><td class=\"setting\">{Encode(s.Value)}</td></tr>"));

    private static string Table(string head, IEnumerable<string> rows) =>
        $"<div class=\"scroll\"><table><thead><tr>{head}</tr></thead><tbody>{string.Join('\n', rows)}</tbody></table></div>\n";

    private static string NumberHead(string text) => $"<th class=\"number\">{Encode(text)}</th>";

    private static string Number(FormattableString value) => $"<td class=\"number\">{FormattableString.Invariant(value)}</td>";

    private static string Encode(string text) => WebUtility.HtmlEncode(text);

    /// <summary>Measures text with the widths of Helvetica, and leaves room for the reader's font, which may be wider.</summary>
    private sealed class RoomyText() : PdfRenderContext(1, 1, OxyColors.Undefined)
    {
        public override OxySize MeasureText(string text, string fontFamily, double fontSize, double fontWeight)
        {
            var size = base.MeasureText(text, fontFamily, fontSize, fontWeight);
            return new OxySize(size.Width * 1.45, size.Height * 1.2);
        }
    }

    [GeneratedRegex("<svg(?=[^>]*>)( (width|height)=\"[^\"]*\")*")]
    private static partial Regex SvgSize();
}
