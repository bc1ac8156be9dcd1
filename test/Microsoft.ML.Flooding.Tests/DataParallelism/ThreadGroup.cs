using System.Runtime.InteropServices;
using Microsoft.ML.Flooding.Runtime;

namespace Microsoft.ML.Flooding.Tests.DataParallelism;

/// <summary>Ranks that are threads of this process, for tests of what ranks compute.</summary>
internal sealed class ThreadGroup : ProcessGroup
{
    private readonly Meeting _meeting;

    private ThreadGroup(Meeting meeting, int rank) => (_meeting, Rank) = (meeting, rank);

    public override int Rank { get; }

    public override int Size => _meeting.Shown.Length;

    public override int LocalRank => 0;

    /// <summary>Does the work of each rank on a thread of its own. If one fails, those that wait for it fail as well.</summary>
    /// <returns>The result or the error of each rank.</returns>
    public static (T? Result, Exception? Error)[] Run<T>(int size, Func<DataParallel, T> work)
    {
        using var meeting = new Meeting(size);
        var results = new (T?, Exception?)[size];
        var threads = Enumerable.Range(0, size).Select(rank => new Thread(() =>
        {
            var group = new ThreadGroup(meeting, rank);
            try
            {
                results[rank] = (work(new DataParallel("Threads", () => group)), null);
            }
            catch (Exception e)
            {
                results[rank] = (default, e);
                meeting.BreakUp();
            }
        })).ToArray();
        foreach (var thread in threads)
            thread.Start();
        foreach (var thread in threads)
            thread.Join();
        return results;
    }

    public override void Sum(Span<float> values)
    {
        var all = _meeting.Exchange(Rank, MemoryMarshal.AsBytes(values));
        values.Clear();
        foreach (var bytes in all)
        {
            var others = MemoryMarshal.Cast<byte, float>(bytes);
            for (var i = 0; i < values.Length; i++)
                values[i] += others[i];
        }
    }

    public override void Sum(Span<double> values)
    {
        var all = _meeting.Exchange(Rank, MemoryMarshal.AsBytes(values));
        values.Clear();
        foreach (var bytes in all)
        {
            var others = MemoryMarshal.Cast<byte, double>(bytes);
            for (var i = 0; i < values.Length; i++)
                values[i] += others[i];
        }
    }

    public override void Broadcast(Span<byte> bytes, int root) => _meeting.Exchange(Rank, bytes)[root].CopyTo(bytes);

    /// <summary>Where threads show each other their values.</summary>
    private sealed class Meeting(int size) : IDisposable
    {
        private readonly Barrier _barrier = new(size);
        private readonly CancellationTokenSource _broken = new();

        public byte[][] Shown { get; } = new byte[size][];

        /// <summary>The values of all ranks. They must be of one length, as MPI demands.</summary>
        public byte[][] Exchange(int rank, ReadOnlySpan<byte> values)
        {
            Shown[rank] = values.ToArray();
            _barrier.SignalAndWait(_broken.Token);
            byte[][] all = [.. Shown];
            // Another round must not begin before everyone has read this one.
            _barrier.SignalAndWait(_broken.Token);
            var lengths = all.Select(bytes => bytes.Length).Distinct().Count();
            return lengths == 1 ? all : throw new InvalidOperationException("The ranks are not at the same call.");
        }

        public void BreakUp() => _broken.Cancel();

        public void Dispose()
        {
            _barrier.Dispose();
            _broken.Dispose();
        }
    }
}
