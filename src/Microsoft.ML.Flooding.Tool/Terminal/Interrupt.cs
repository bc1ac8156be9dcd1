using System.Runtime.InteropServices;

namespace Mlflood.Terminal;

/// <summary>While it exists, the first Ctrl-C (or SIGTERM) cancels a token, and the second one ends the program.</summary>
internal sealed class Interrupt : IDisposable
{
    private readonly CancellationTokenSource _source = new();
    private readonly PosixSignalRegistration[] _signals;

    /// <param name="onFirst">Called at the first Ctrl-C.</param>
    public Interrupt(Action onFirst)
    {
        _signals = [.. new[] { PosixSignal.SIGINT, PosixSignal.SIGTERM }.Select(s => PosixSignalRegistration.Create(s, signal =>
        {
            // The system ends the program by the second signal: an orderly exit could meet threads of libtorch that still compute.
            if (_source.IsCancellationRequested)
                return;
            signal.Cancel = true;
            _source.Cancel();
            onFirst();
        }))];
    }

    /// <summary>Canceled at the first Ctrl-C.</summary>
    public CancellationToken Token => _source.Token;

    public void Dispose()
    {
        foreach (var signal in _signals)
            signal.Dispose();
        _source.Dispose();
    }
}
