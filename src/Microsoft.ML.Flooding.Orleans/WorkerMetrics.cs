using System.Diagnostics.Metrics;

namespace Microsoft.ML.Flooding.Orleans;

/// <summary>The metrics of a worker, for OpenTelemetry and dotnet-counters.</summary>
internal static class WorkerMetrics
{
    private static readonly Meter Meter = new(FloodingSiloBuilderExtensions.MeterName);

    private static readonly Counter<long> FailedRuns =
        Meter.CreateCounter<long>("flooding.runs.failed", "{run}", "Runs that the worker could not train.");

    private static readonly Counter<long> TrainedRuns =
        Meter.CreateCounter<long>("flooding.runs.trained", "{run}", "Runs that the worker has trained to the end.");

    private static readonly Counter<long> TrainedEpochs =
        Meter.CreateCounter<long>("flooding.epochs", "{epoch}", "Epochs that the worker has trained.");

    private static readonly Gauge<double> Speed =
        Meter.CreateGauge<double>("flooding.images_per_second", "{image}/s", "Training images per second in the newest epoch of a run.");

    private static int _running;

    static WorkerMetrics()
    {
        Meter.CreateObservableGauge("flooding.runs.running", () => _running, "{run}", "Runs that the worker trains now.");
        Meter.CreateObservableGauge(
            "flooding.runs.waiting", () => Waiting, "{run}", "Runs that wait for a worker, on the machine that assigns them; 0 on others.");
    }

    /// <summary>The number of runs that wait, if this process assigns them.</summary>
    public static int Waiting { get; set; }

    public static void Begin() => Interlocked.Increment(ref _running);

    public static void End(bool failed)
    {
        Interlocked.Decrement(ref _running);
        (failed ? FailedRuns : TrainedRuns).Add(1);
    }

    /// <summary>A run that another worker continues, or nobody wants, ends neither way.</summary>
    public static void Drop() => Interlocked.Decrement(ref _running);

    public static void CountEpoch(string run, EpochMetrics epoch)
    {
        TrainedEpochs.Add(1);
        Speed.Record(epoch.ImagesPerSecond, new KeyValuePair<string, object?>("run", run));
    }
}
