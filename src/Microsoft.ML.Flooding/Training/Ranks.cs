using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using Microsoft.ML.Flooding.Networks;
using Microsoft.ML.Flooding.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Training;

/// <summary>
/// The processes of one data-parallel Fit. Everything that decides how training goes on is summed or broadcast, so all ranks decide the
/// same.
/// </summary>
internal sealed class Ranks : IDisposable
{
    private readonly ProcessGroup _group;
    private readonly CancellationToken _stop;
    private readonly CancellationTokenSource _agreed = new();
    private bool _completed;

    /// <param name="group">The processes.</param>
    /// <param name="stop">The token of this process that ends the training early.</param>
    /// <exception cref="InvalidOperationException">The group cannot be used now.</exception>
    public Ranks(ProcessGroup group, CancellationToken stop)
    {
        group.Begin();
        (_group, _stop) = (group, stop);
    }

    /// <summary>The number of this process, from 0.</summary>
    public int Rank => _group.Rank;

    /// <summary>The number of processes.</summary>
    public int Size => _group.Size;

    /// <summary>The number of this process among those on the same machine, from 0.</summary>
    public int LocalRank => _group.LocalRank;

    /// <summary>Canceled on all ranks at the same step, after the token of one of them was.</summary>
    public CancellationToken StopToken => _agreed.Token;

    /// <summary>The fewest images of a mini-batch: batch norm needs two on each rank.</summary>
    public int FewestImages => 2 * Size;

    /// <summary>A seed for what is drawn for this rank's images only. Rank 0 draws what a single process would.</summary>
    public long SeedOf(long seed) => Rank == 0 ? seed : RandomStreams.Derive(seed, RandomStreams.Purpose.Rank, Rank);

    /// <summary>The share of this rank in a number of rows. The shares of two ranks differ by one at most.</summary>
    public (long Start, long Count) ShareOf(long count)
    {
        var start = count * Rank / Size;
        return (start, (count * (Rank + 1) / Size) - start);
    }

    /// <summary>This rank's share of some rows.</summary>
    public Tensor ShareOf(Tensor rows)
    {
        var (start, count) = ShareOf(rows.shape[0]);
        return rows.narrow(0, start, count);
    }

    /// <summary>This rank's shares of mini-batches, one after the other.</summary>
    /// <param name="order">int64 [N].</param>
    /// <param name="batchSize">The images of a mini-batch; the last one may be smaller.</param>
    /// <param name="batches">The number of mini-batches.</param>
    public Tensor ShareOfBatches(Tensor order, int batchSize, int batches) => cat(
        [
            .. Enumerable.Range(0, batches).Select(i =>
                ShareOf(order.narrow(0, (long)i * batchSize, Math.Min(batchSize, order.shape[0] - ((long)i * batchSize))))),
        ]);

    /// <summary>Replaces the values of a contiguous float32 tensor on the CPU by their sums over the ranks.</summary>
    public void Sum(Tensor values)
    {
        foreach (var piece in TensorFile.Pieces(values))
            _group.Sum(MemoryMarshal.Cast<byte, float>(piece.bytes));
    }

    /// <summary>The sums of some numbers over the ranks.</summary>
    public double[] Sum(params double[] values)
    {
        _group.Sum(values.AsSpan());
        return values;
    }

    /// <summary>The rows of all ranks, in their order.</summary>
    /// <param name="share">float32 [n, ...] on the CPU: the results of this rank's share.</param>
    /// <param name="count">The rows of all shares.</param>
    public Tensor Gather(Tensor share, long count)
    {
        var all = zeros([count, .. share.shape[1..]]);
        var (start, length) = ShareOf(count);
        all.narrow(0, start, length).copy_(share);
        Sum(all);
        return all;
    }

    /// <summary>Replaces float32 tensors by their means over the ranks. The mean of equal values is that value.</summary>
    public void Average(Tensor[] tensors)
    {
        if (tensors.Length == 0)
            return;
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var values = cat([.. tensors.Select(t => t.flatten())]).to(ScalarType.Float64).to(CPU);
        foreach (var piece in TensorFile.Pieces(values))
            _group.Sum(MemoryMarshal.Cast<byte, double>(piece.bytes));
        values.div_(Size);
        long start = 0;
        foreach (var tensor in tensors)
        {
            tensor.copy_(values.narrow(0, start, tensor.numel()).reshape(tensor.shape));
            start += tensor.numel();
        }
    }

    /// <summary>1 if this rank wants to stop, otherwise 0.</summary>
    public float StopRequest => _stop.IsCancellationRequested ? 1 : 0;

    /// <summary>Cancels <see cref="StopToken"/> if one of the ranks wants to stop.</summary>
    /// <param name="requests">The sum of <see cref="StopRequest"/> over the ranks.</param>
    public void AgreeToStop(double requests)
    {
        if (requests > 0)
            _agreed.Cancel();
    }

    /// <summary>Cancels <see cref="StopToken"/> if one of the ranks wants to stop.</summary>
    public void AgreeToStop() => AgreeToStop(Sum(StopRequest)[0]);

    /// <summary>The value of rank 0.</summary>
    public T Share<T>(T value)
    {
        var bytes = Share(Rank == 0 ? JsonSerializer.SerializeToUtf8Bytes(value, SnapshotFile.Json) : [], root: 0);
        return JsonSerializer.Deserialize<T>(bytes, SnapshotFile.Json)!;
    }

    /// <summary>Replaces tensors by those of rank 0.</summary>
    public void Share(IEnumerable<Tensor> tensors)
    {
        using var _ = no_grad();
        foreach (var tensor in tensors)
        {
            using var scope = NewDisposeScope();
            var values = tensor.detach().to(CPU).contiguous();
            foreach (var piece in TensorFile.Pieces(values))
                _group.Broadcast(piece.bytes, root: 0);
            if (Rank > 0)
                tensor.detach().copy_(values);
        }
    }

    /// <summary>The checkpoint that rank 0 loaded. It belongs to the caller.</summary>
    public TrainingSnapshot? Share(TrainingSnapshot? snapshot)
    {
        var header = Share(snapshot is null
            ? null
            : new SnapshotHeader(
                snapshot.Progress, [.. snapshot.Tensors.Select(t => new TensorHeader(t.Name, t.Value.dtype, t.Value.shape))]));
        if (header is null)
            return null;
        var shared = Rank == 0
            ? snapshot!
            : new TrainingSnapshot(
                header.Progress, [.. header.Tensors.Select(t => (t.Name, zeros(t.Shape, t.Type).DetachFromDisposeScope()))]);
        Share(shared.Tensors.Select(t => t.Value));
        return shared;
    }

    /// <summary>Checks that all ranks train the same. The error, which all ranks throw, names a rank and how it differs.</summary>
    /// <param name="facts">What must be the same, by name.</param>
    /// <exception cref="InvalidOperationException">A rank differs from rank 0.</exception>
    public void RequireSame(IReadOnlyDictionary<string, string> facts)
    {
        var differences = RunIdentity.Differences(facts, Share(facts.ToDictionary()));
        var text = string.Join("; ", differences.Select(d => d.Replace(" but was ", " instead of ", StringComparison.Ordinal)));
        var differing = new double[Size];
        differing[Rank] = differences.Count;
        var first = Array.FindIndex(Sum(differing), count => count > 0);
        if (first >= 0)
            throw new InvalidOperationException(
                $"Rank {first} differs from rank 0: {Encoding.UTF8.GetString(Share(Encoding.UTF8.GetBytes(text), first))}. "
                + "Give all ranks the same data and options.");
    }

    /// <summary>Ends the work of the ranks without an error.</summary>
    public void Complete() => _completed = true;

    /// <inheritdoc/>
    public void Dispose()
    {
        _group.End(_completed);
        _agreed.Dispose();
    }

    private byte[] Share(byte[] bytes, int root)
    {
        Span<byte> length = stackalloc byte[sizeof(int)];
        MemoryMarshal.Write(length, bytes.Length);
        _group.Broadcast(length, root);
        var shared = Rank == root ? bytes : new byte[MemoryMarshal.Read<int>(length)];
        _group.Broadcast(shared, root);
        return shared;
    }

    private sealed record TensorHeader(string Name, ScalarType Type, long[] Shape);

    private sealed record SnapshotHeader(TrainingProgress Progress, IReadOnlyList<TensorHeader> Tensors);
}
