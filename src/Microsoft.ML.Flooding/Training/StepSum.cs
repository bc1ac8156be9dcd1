using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Training;

/// <summary>
/// Sums over the ranks what a step computes. Gradients and figures are in one buffer, so a step takes one reduction. On a GPU, the buffer
/// goes through the memory of the host.
/// </summary>
internal sealed class StepSum : IDisposable
{
    private const int Figures = 3;

    private readonly Ranks _ranks;
    private readonly Tensor _buffer;
    private readonly Tensor _host;
    private readonly Tensor[] _gradients;
    private readonly Tensor _figures;

    /// <param name="ranks">The ranks.</param>
    /// <param name="trained">The weights whose gradients are summed.</param>
    public StepSum(Ranks ranks, Tensor[] trained)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        _ranks = ranks;
        var length = trained.Sum(t => t.numel());
        _buffer = zeros(length + Figures + 1, ScalarType.Float32, trained[0].device).DetachFromDisposeScope();
        _host = trained[0].device_type == TorchSharp.DeviceType.CPU ? _buffer : zeros_like(_buffer, device: CPU).DetachFromDisposeScope();
        _gradients = new Tensor[trained.Length];
        long start = 0;
        for (var i = 0; i < trained.Length; i++)
        {
            // A gradient's layout can depend on the number of images; that of the weight is the same on all ranks.
            using var layout = empty_like(trained[i]);
            _gradients[i] = _buffer.as_strided(layout.shape, layout.stride(), start).DetachFromDisposeScope();
            start += trained[i].numel();
        }
        _figures = _buffer.narrow(0, length, Figures).DetachFromDisposeScope();
    }

    /// <summary>Sums gradients and figures, and agrees whether the training stops after this step.</summary>
    /// <param name="gradients">In the order of the weights.</param>
    /// <param name="figures">float32 [3].</param>
    /// <returns>The sums. They are overwritten by the next step.</returns>
    public (Tensor[] Gradients, Tensor Figures) Of(Tensor[] gradients, Tensor figures)
    {
        TensorListKernels.Copy([.. _gradients, _figures], [.. gradients, figures]);
        if (!ReferenceEquals(_host, _buffer))
            _host.copy_(_buffer);
        using var stop = _host[^1];
        stop.fill_(_ranks.StopRequest);
        _ranks.Sum(_host);
        _ranks.AgreeToStop(stop.item<float>());
        if (!ReferenceEquals(_host, _buffer))
            _buffer.copy_(_host);
        return (_gradients, _figures);
    }

    public void Dispose()
    {
        foreach (var view in _gradients)
            view.Dispose();
        _figures.Dispose();
        _buffer.Dispose();
        _host.Dispose();
    }
}
