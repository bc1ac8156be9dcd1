using OxyPlot;

namespace Microsoft.ML.Flooding.Reports;

/// <summary>
/// The colors of a report by role. Plots are drawn in the light colors. In a page, variables replace them, so that one drawing works in the
/// light and the dark scheme.
/// </summary>
internal static class Palette
{
    public static readonly OxyColor Ink = OxyColor.Parse("#1f2431");
    public static readonly OxyColor Line = OxyColor.Parse("#cfd4de");
    public static readonly OxyColor Training = OxyColor.Parse("#c2420c");
    public static readonly OxyColor Validation = OxyColor.Parse("#1d4fd8");
    public static readonly OxyColor Averaged = OxyColor.Parse("#04785a");
    public static readonly OxyColor Water = OxyColor.Parse("#38a3d8");
    public static readonly OxyColor StageA = OxyColor.Parse("#e8b308");
    public static readonly OxyColor StageB = OxyColor.Parse("#f97415");
    public static readonly OxyColor StageC = OxyColor.Parse("#dc2726");

    private static readonly (string Variable, OxyColor Light, string Dark)[] Roles =
    [
        ("ink", Ink, "#e7eaf2"),
        ("line", Line, "#414859"),
        ("training", Training, "#ff9a5c"),
        ("validation", Validation, "#82a8ff"),
        ("averaged", Averaged, "#3ddc9f"),
        ("water", Water, "#4cc3ff"),
        ("stage-a", StageA, "#f5cd4a"),
        ("stage-b", StageB, "#ff9b57"),
        ("stage-c", StageC, "#ff6b6b"),
    ];

    /// <summary>The variables of the light colors, as CSS declarations.</summary>
    public static string LightVariables => string.Concat(Roles.Select(r => $"--{r.Variable}:{Hex(r.Light)};"));

    /// <summary>The variables of the dark colors, as CSS declarations.</summary>
    public static string DarkVariables => string.Concat(Roles.Select(r => $"--{r.Variable}:{r.Dark};"));

    /// <summary>Replaces the colors of a drawing with their variables.</summary>
    public static string WithVariables(string svg) =>
        Roles.Aggregate(svg, (text, role) => text.Replace(AsDrawn(role.Light), $"var(--{role.Variable})", StringComparison.Ordinal));

    private static string AsDrawn(OxyColor color) => $"rgb({color.R},{color.G},{color.B})";

    private static string Hex(OxyColor color) => $"#{color.R:x2}{color.G:x2}{color.B:x2}";
}
