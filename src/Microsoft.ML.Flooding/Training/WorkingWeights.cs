using Microsoft.ML.Flooding.Networks;
using TorchSharp;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Microsoft.ML.Flooding.Training;

/// <summary>
/// The weights of a network that is trained on a device, in channels_last order. In bfloat16 the network computes with bfloat16 weights,
/// and the optimizer updates float32 masters of them (Micikevicius et al., "Mixed Precision Training", 2018).
/// </summary>
internal sealed class WorkingWeights : IDisposable
{
    private readonly Tensor[] _reducedMasters;
    private readonly Tensor[] _reduced;
    private readonly Dictionary<string, Tensor> _exactBuffers = [];
    private readonly int[] _watched;

    public WorkingWeights(Module<Tensor, Tensor> network, Device device, ScalarType precision)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        network.to(device);
        // Copied before the conversion, which rounds them.
        var exact = network.named_parameters().Select(p => p.parameter.detach().clone()).ToArray();
        var exactBuffers = network.named_buffers().Select(b => b.buffer.detach().clone()).ToArray();
        if (precision != ScalarType.Float32)
            ReducePrecision(network, precision);
        var parameters = network.named_parameters().ToArray();
        foreach (var ((_, parameter), value) in parameters.Zip(exact))
        {
            if (parameter.dtype == ScalarType.Float32)
                parameter.copy_(value);
        }
        foreach (var ((name, buffer), value) in network.named_buffers().Zip(exactBuffers))
        {
            buffer.copy_(value);
            if (buffer.dtype != value.dtype)
                _exactBuffers.Add(name, value.DetachFromDisposeScope());
        }
        network.ToChannelsLast();

        Network = network;
        Precision = precision;
        Names = [.. parameters.Select(p => p.name)];
        Parameters = [.. parameters.Select(p => (Tensor)p.parameter)];
        Masters = [.. Parameters.Zip(exact, CreateMaster)];
        var reduced = Enumerable.Range(0, Parameters.Length).Where(i => Parameters[i].dtype != ScalarType.Float32).ToArray();
        _reduced = [.. reduced.Select(i => Parameters[i])];
        _reducedMasters = [.. reduced.Select(i => Masters[i])];
        var buffers = network.named_buffers().Where(b => b.buffer.dtype == ScalarType.Float32).ToArray();
        BufferNames = [.. buffers.Select(b => b.name)];
        All = [.. Masters, .. buffers.Select(b => b.buffer)];
        // A module can hold infinity on purpose, such as an attention mask.
        _watched = [.. Enumerable.Range(0, All.Length).Where(i => IsFinite(All[i]))];
        Publish();
    }

    public Module<Tensor, Tensor> Network { get; }

    /// <summary>The type that the network computes in.</summary>
    public ScalarType Precision { get; }

    /// <summary>Names of the parameters, in the network's order.</summary>
    public string[] Names { get; }

    /// <summary>Names of the float32 buffers (batch-norm statistics), in the network's order.</summary>
    public string[] BufferNames { get; }

    /// <summary>What the network computes with. Gradients are computed for these.</summary>
    public Tensor[] Parameters { get; }

    /// <summary>What the optimizer updates, float32. A parameter that is float32 is its own master.</summary>
    public Tensor[] Masters { get; }

    /// <summary>The masters, then the float32 buffers.</summary>
    public Tensor[] All { get; }

    /// <summary>The buffers among values in the order of <see cref="All"/>.</summary>
    public IEnumerable<Tensor> Buffers(Tensor[] values) => values.Skip(Masters.Length);

    /// <summary>Copies the masters into the network's parameters.</summary>
    public void Publish()
    {
        if (_reduced.Length == 0)
            return;
        using var _ = no_grad();
        TensorListKernels.Copy(_reduced, _reducedMasters);
    }

    /// <summary>The weights and buffers by name, not rounded. The tensors stay this object's.</summary>
    public IReadOnlyDictionary<string, Tensor> State()
    {
        using var scope = NewDisposeScope();
        // A buffer that training did not change has its value from before it was rounded.
        var state = Network.named_buffers().ToDictionary(b => b.name, b =>
            _exactBuffers.TryGetValue(b.name, out var exact) && b.buffer.eq(exact.to(b.buffer.dtype)).all().item<bool>()
                ? exact
                : b.buffer);
        foreach (var (name, master) in Names.Zip(Masters))
            state.Add(name, master);
        return state;
    }

    /// <summary>
    /// A float32 scalar on the device that is not finite if one of the values, in the order of <see cref="All"/>, is not. It is also
    /// infinity if the values are huge.
    /// </summary>
    public Tensor NormOf(Tensor[] values) => TensorListKernels.Norm(Watched(values));

    /// <summary>
    /// The name of the first of the values, in the order of <see cref="All"/>, that is no longer finite; null if all are finite.
    /// </summary>
    public string? FirstNotFinite(Tensor[] values)
    {
        using var scope = NewDisposeScope();
        var index = Array.FindIndex(_watched, i => !IsFinite(values[i]));
        return index < 0 ? null : Names.Concat(BufferNames).ElementAt(_watched[index]);
    }

    /// <summary>A copy of <see cref="All"/> that belongs to the caller.</summary>
    public Tensor[] Snapshot()
    {
        using var _ = no_grad();
        return [.. All.Select(t => t.detach().clone().DetachFromDisposeScope())];
    }

    /// <summary>Gives the network other weights, in the order of <see cref="All"/>.</summary>
    public void Assign(Tensor[] weights)
    {
        using (no_grad())
            TensorListKernels.Copy(All, weights);
        Publish();
    }

    /// <summary>Disposes of the masters. The network belongs to the caller.</summary>
    public void Dispose()
    {
        foreach (var master in _reducedMasters)
            master.Dispose();
        foreach (var buffer in _exactBuffers.Values)
            buffer.Dispose();
    }

    private static Tensor CreateMaster(Tensor parameter, Tensor exact) =>
        parameter.dtype == ScalarType.Float32
            ? parameter
            : empty_like(parameter, ScalarType.Float32).copy_(exact).DetachFromDisposeScope();

    private static bool IsFinite(Tensor tensor) => tensor.isfinite().all().item<bool>();

    private Tensor[] Watched(Tensor[] values) => _watched.Length == values.Length ? values : [.. _watched.Select(i => values[i])];

    /// <summary>
    /// Batch norm keeps float32 parameters and statistics. It accepts a bfloat16 input with them, and its running statistics change by less
    /// than the resolution of bfloat16.
    /// </summary>
    private static void ReducePrecision(Module<Tensor, Tensor> network, ScalarType precision)
    {
        network.to(precision);
        foreach (var module in network is Network ours ? ours.Parts : network.modules())
            if (module is TorchSharp.Modules.BatchNorm || IsBatchNorm(module))
                module.to(ScalarType.Float32);

        // Recognized by its names, because an application or a script can have its own class.
        static bool IsBatchNorm(Module module) =>
            module.named_buffers().Any(b => b.name == "running_var") && module.named_parameters().All(p => p.name is "weight" or "bias");
    }
}
