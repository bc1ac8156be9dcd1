using System.Globalization;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace Mlflood.Terminal;

/// <summary>Shows the runs of a cluster: a table that is redrawn on a terminal, a line for each change elsewhere.</summary>
internal sealed class ClusterProgress : ITrainingDisplay, IProgress<IReadOnlyList<ClusterRun>>
{
    private IReadOnlyList<ClusterRun> _shown = [];
    private LiveDisplayContext? _live;

    /// <inheritdoc/>
    public bool IsStopping { get; set; }

    /// <inheritdoc/>
    public T Show<T>(Func<T> train)
    {
        if (!Screen.IsLive)
            return train();
        return Screen.Error.Live(Draw([])).AutoClear(true).Overflow(VerticalOverflow.Ellipsis).Start(live =>
        {
            _live = live;
            return train();
        });
    }

    /// <inheritdoc/>
    public void Report(IReadOnlyList<ClusterRun> value)
    {
        if (_live is not null)
        {
            _live.UpdateTarget(Draw(value));
            return;
        }
        for (var i = 0; i < value.Count; i++)
        {
            var before = i < _shown.Count ? _shown[i] : null;
            // Not through Spectre, which would wrap the line.
            if (before != value[i] && Describe(before, value[i]) is { } line)
                Console.Error.WriteLine(line);
        }
        _shown = value;
    }

    private static string? Describe(ClusterRun? before, ClusterRun run)
    {
        if (run.Last is { } last && run.Last != before?.Last)
            return $"{run.Name}  {Epochs(run)}  {Figures(last)}{(run.Worker is null ? "" : $"  {run.Worker}")}{End(before, run)}";
        return run.State == before?.State && run.Worker == before.Worker ? null : run.ToString();
    }

    private static string End(ClusterRun? before, ClusterRun run) =>
        run.State == before?.State || run.State is ClusterRunState.Running ? "" : $"  {Text(run.State)}";

    private static string Epochs(ClusterRun run) =>
        string.Create(CultureInfo.InvariantCulture, $"epoch {run.Last?.Epoch ?? 0}/{run.Epochs}");

    private static string Figures(EpochMetrics metrics) =>
        string.Create(CultureInfo.InvariantCulture, $"loss {metrics.TrainingLoss:0.000}")
        + (LossOf(metrics) is { } loss
            ? string.Create(CultureInfo.InvariantCulture, $"  valid {loss:0.000}, {AccuracyOf(metrics) * 100:0.0} %")
            : "")
        + string.Create(CultureInfo.InvariantCulture, $"  {metrics.ImagesPerSecond:0} img/s");

    private static double? LossOf(EpochMetrics? metrics) => metrics?.AveragedValidationLoss ?? metrics?.ValidationLoss;

    private static double? AccuracyOf(EpochMetrics? metrics) => metrics?.AveragedValidationAccuracy ?? metrics?.ValidationAccuracy;

    private static string Text(ClusterRunState state) => state.ToString().ToLowerInvariant();

    private Rows Draw(IReadOnlyList<ClusterRun> runs)
    {
        var table = new Table { Border = TableBorder.Rounded };
        table.AddColumn("run").AddColumn("state").AddColumn("worker");
        foreach (var figure in new[] { "epoch", "loss", "valid", "accuracy" })
            table.AddColumn(new TableColumn(figure).RightAligned());
        foreach (var run in runs)
        {
            table.AddRow(
                Markup.Escape(run.Name), Colored(run.State), Markup.Escape(run.Worker ?? ""), $"{run.Last?.Epoch ?? 0}/{run.Epochs}",
                Number($"{run.Last?.TrainingLoss:0.000}"), Number($"{LossOf(run.Last):0.000}"),
                AccuracyOf(run.Last) is { } accuracy ? Number($"{accuracy * 100:0.0} %") : "");
        }
        IRenderable note = new Markup(IsStopping
            ? "[yellow]stopping; Ctrl-C again ends at once[/]"
            : $"[dim]{runs.Count(run => run.State == ClusterRunState.Done)} of {runs.Count} runs done[/]");
        return new Rows(table, note);
    }

    private static string Colored(ClusterRunState state) => state switch
    {
        ClusterRunState.Running => $"[green]{Text(state)}[/]",
        ClusterRunState.Failed => $"[red]{Text(state)}[/]",
        _ => Text(state),
    };

    private static string Number(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
