namespace Microsoft.ML.Flooding.Runtime;

/// <summary>
/// Processes that compute together, numbered from 0 (their ranks). All of them make the same calls in the same order; a call returns when
/// every process has made it.
/// </summary>
internal abstract class ProcessGroup
{
    private int _use;

    private protected enum Use
    {
        None,
        Busy,
        Broken,
    }

    /// <summary>The number of this process, from 0.</summary>
    public abstract int Rank { get; }

    /// <summary>The number of processes.</summary>
    public abstract int Size { get; }

    /// <summary>The number of this process among those on the same machine, from 0.</summary>
    public abstract int LocalRank { get; }

    /// <summary>What the processes do now, as far as this one knows.</summary>
    private protected Use Current => (Use)Volatile.Read(ref _use);

    /// <summary>Replaces the values by their sums over the processes. All processes get the same bits.</summary>
    public abstract void Sum(Span<float> values);

    /// <inheritdoc cref="Sum(Span{float})"/>
    public abstract void Sum(Span<double> values);

    /// <summary>Replaces the bytes by those of one process.</summary>
    /// <param name="bytes">Of the same length in each process.</param>
    /// <param name="root">The rank of that process.</param>
    public abstract void Broadcast(Span<byte> bytes, int root);

    /// <summary>Starts a piece of work, which the group does alone.</summary>
    /// <exception cref="InvalidOperationException">
    /// The group is at work, or an error ended its last work: the processes are then no longer at the same call.
    /// </exception>
    public void Begin()
    {
        switch ((Use)Interlocked.CompareExchange(ref _use, (int)Use.Busy, (int)Use.None))
        {
            case Use.Busy:
                throw new InvalidOperationException(
                    "Another data-parallel training is running in this process. Start this one when that one has ended.");
            case Use.Broken:
                throw new InvalidOperationException(
                    "An error ended a data-parallel training in this process, so its ranks are no longer at the same step. End the "
                    + "processes of all ranks and start them again.");
        }
    }

    /// <summary>Ends the piece of work.</summary>
    /// <param name="succeeded">Whether every call was made; otherwise a group of several processes cannot be used again.</param>
    public void End(bool succeeded) => Volatile.Write(ref _use, (int)(succeeded || Size == 1 ? Use.None : Use.Broken));
}
