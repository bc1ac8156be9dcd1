using Microsoft.ML.Flooding;

namespace Cluster;

/// <summary>Writes a line when the state, the worker or every fifth epoch of a run has changed.</summary>
/// <param name="report">Called with each run.</param>
internal sealed class Progress(Action<ClusterRun> report) : IProgress<IReadOnlyList<ClusterRun>>
{
    private readonly Dictionary<string, (ClusterRunState, string?, int)> _shown = [];

    public void Report(IReadOnlyList<ClusterRun> value)
    {
        foreach (var run in value)
        {
            var state = (run.State, run.Worker, (run.Last?.Epoch ?? 0) / 5);
            if (!_shown.TryGetValue(run.Name, out var shown) || shown != state)
                Console.WriteLine(run);
            _shown[run.Name] = state;
            report(run);
        }
    }
}
