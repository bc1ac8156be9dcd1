using System.Diagnostics;
using System.Globalization;
using Spectre.Console;
using Spectre.Console.Rendering;

namespace Mlflood.Terminal;

/// <summary>
/// Shows the training on standard error: redrawn on a terminal, a line for each epoch elsewhere. A search has a run for each level.
/// </summary>
/// <param name="runs">The most runs that there are.</param>
internal sealed class TrainingProgress(int runs) : TrainingCallback, ITrainingDisplay
{
    private const int BarWidth = 30;
    private const int ShownEpochs = 8;

    private static readonly TimeSpan Pause = TimeSpan.FromMilliseconds(200);

    private readonly Stopwatch _watch = Stopwatch.StartNew();
    private readonly List<string> _lines = [];
    private LiveDisplayContext? _live;
    private TimeSpan _drawn;
    private int _epochs = 1;
    private double _doneEpochs;
    private double _startedWith = -1;

    /// <inheritdoc/>
    public bool IsStopping { get; set; }

    /// <inheritdoc/>
    public T Show<T>(Func<T> train)
    {
        if (!Screen.IsLive)
            return train();
        return Screen.Error.Live(Draw()).AutoClear(true).Start(live =>
        {
            _live = live;
            return train();
        });
    }

    public override void OnRunStart(TrainingContext context)
    {
        _epochs = context.Epochs;
        // Epochs of a checkpoint took no time.
        if (_startedWith < 0)
            _startedWith = _doneEpochs = context.Epoch;
    }

    public override void OnStepEnd(TrainingContext context)
    {
        if (_live is null || _watch.Elapsed - _drawn < Pause)
            return;
        var inEpoch = (context.Step - ((context.Epoch - 1) * (long)context.StepsPerEpoch)) / (double)context.StepsPerEpoch;
        Refresh(_doneEpochs + Math.Clamp(inEpoch, 0, 1));
    }

    public override void OnEpochEnd(TrainingContext context)
    {
        _doneEpochs++;
        var line = Describe(context.Metrics[^1], context.FloodLevel);
        if (_live is null)
        {
            // Not through Spectre, which would wrap the line.
            Console.Error.WriteLine($"{line}  {TimeLeft(_doneEpochs)}");
            return;
        }
        _lines.Add(line);
        Refresh(_doneEpochs);
    }

    private string Describe(EpochMetrics metrics, float level)
    {
        var loss = metrics.AveragedValidationLoss ?? metrics.ValidationLoss;
        var accuracy = metrics.AveragedValidationAccuracy ?? metrics.ValidationAccuracy;
        return (runs > 1 ? Text($"b {level}  ") : "") + Text($"epoch {metrics.Epoch}/{_epochs}  loss {metrics.TrainingLoss:0.000}")
            + (level > 0 ? Text($" (b {level}, {metrics.FloodedShare * 100:0} % below)") : "")
            + (loss is null ? "" : Text($"  valid {loss:0.000}, {accuracy * 100:0.0} %"))
            + Text($"  {metrics.ImagesPerSecond:0} img/s");
    }

    private void Refresh(double done)
    {
        _drawn = _watch.Elapsed;
        _live!.UpdateTarget(Draw(done));
    }

    private Rows Draw(double done = 0)
    {
        var share = Math.Min(1, done / (_epochs * (double)runs));
        var filled = (int)(share * BarWidth);
        IRenderable bar = new Markup(
            $"[green]{new string('━', filled)}[/][dim]{new string('━', BarWidth - filled)}[/] {Text($"{share * 100:0} %")}  "
            + (IsStopping ? "[yellow]stopping; Ctrl-C again ends at once[/]" : TimeLeft(done)));
        return new Rows([.. _lines.TakeLast(ShownEpochs).Select(line => new Text(line, new Style(decoration: Decoration.Dim))), bar]);
    }

    private string TimeLeft(double done)
    {
        var trained = done - Math.Max(0, _startedWith);
        if (trained <= 0)
            return "starting";
        var left = _watch.Elapsed * (((_epochs * (double)runs) - done) / trained);
        return (left.TotalHours >= 1 ? left.ToString(@"h\:mm\:ss", CultureInfo.InvariantCulture)
            : left.ToString(@"m\:ss", CultureInfo.InvariantCulture)) + " left";
    }

    private static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
