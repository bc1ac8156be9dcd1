using Microsoft.ML.Flooding.Networks;
using TorchSharp;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Microsoft.ML.Flooding.Training;

/// <summary>
/// A network prepared for training on a device: weights in channels_last order and, for bfloat16, float32 masters that the optimizer updates
/// beside the bfloat16 weights that the network computes with (Micikevicius et al., "Mixed Precision Training", 2018).
/// </summary>
internal sealed class WorkingWeights : IDisposable
{
    private readonly Tensor[] _reducedMasters;
    private readonly Tensor[] _reduced;

    public WorkingWeights(Module<Tensor, Tensor> network, Device device, ScalarType precision)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        network.to(device);
        // Taken before the conversion, which would round them.
        var exact = network.named_parameters().Select(p => p.parameter.detach().clone()).ToArray();
        if (precision != ScalarType.Float32)
            ReducePrecision(network, precision);
        var parameters = network.named_parameters().ToArray();
        foreach (var ((_, parameter), value) in parameters.Zip(exact))
        {
            if (parameter.dtype == ScalarType.Float32)
                parameter.copy_(value);
        }
        network.ToChannelsLast();

        Network = network;
        Precision = precision;
        Names = [.. parameters.Select(p => p.name)];
        Parameters = [.. parameters.Select(p => (Tensor)p.parameter)];
        Masters = [.. Parameters.Zip(exact, (p, value) => p.dtype == ScalarType.Float32 ? p : empty_like(p, ScalarType.Float32).copy_(value).DetachFromDisposeScope())];
        var reduced = Enumerable.Range(0, Parameters.Length).Where(i => Parameters[i].dtype != ScalarType.Float32).ToArray();
        _reduced = [.. reduced.Select(i => Parameters[i])];
        _reducedMasters = [.. reduced.Select(i => Masters[i])];
        var buffers = network.named_buffers().Where(b => b.buffer.dtype == ScalarType.Float32).ToArray();
        BufferNames = [.. buffers.Select(b => b.name)];
        All = [.. Masters, .. buffers.Select(b => b.buffer)];
        Publish();
    }

    public Module<Tensor, Tensor> Network { get; }

    /// <summary>The type that the network computes in.</summary>
    public ScalarType Precision { get; }

    /// <summary>Names of the parameters, in the network's order.</summary>
    public string[] Names { get; }

    /// <summary>Names of the float32 buffers (batch-norm statistics), in the network's order.</summary>
    public string[] BufferNames { get; }

    /// <summary>What the network computes with; gradients are taken with respect to these.</summary>
    public Tensor[] Parameters { get; }

    /// <summary>float32: what the optimizer updates. The same tensors as <see cref="Parameters"/> where those are float32.</summary>
    public Tensor[] Masters { get; }

    /// <summary>The masters, then the float32 buffers: everything that makes up the trained network.</summary>
    public Tensor[] All { get; }

    /// <summary>Brings updated masters to the network.</summary>
    public void Publish()
    {
        if (_reduced.Length == 0)
            return;
        using var _ = no_grad();
        TensorListKernels.Invoke("copy", _reduced, _reducedMasters);
    }

    /// <summary>A copy of <see cref="All"/> that belongs to the caller.</summary>
    public Tensor[] Snapshot()
    {
        using var _ = no_grad();
        return [.. All.Select(t => t.detach().clone().DetachFromDisposeScope())];
    }

    /// <summary>Sets the network to other weights, in the order of <see cref="All"/>.</summary>
    public void Assign(Tensor[] weights)
    {
        using (no_grad())
            TensorListKernels.Invoke("copy", All, weights);
        Publish();
    }

    /// <summary>Releases the masters; the network belongs to the caller.</summary>
    public void Dispose()
    {
        foreach (var master in _reducedMasters)
            master.Dispose();
    }

    /// <summary>Batch norm keeps float32 parameters and statistics: it accepts a bfloat16 input with them.</summary>
    private static void ReducePrecision(Module<Tensor, Tensor> network, ScalarType precision)
    {
        network.to(precision);
        foreach (var module in network.modules())
            if (module is TorchSharp.Modules.BatchNorm)
                module.to(ScalarType.Float32);
    }
}
