using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Training;

/// <summary>
/// An optimizer that updates a list of parameters in one native call, where TorchSharp's optimizers loop over them in C#. Formula and order
/// of operations are those of PyTorch's fused kernels.
/// </summary>
internal abstract class FusedOptimizer : IDisposable
{
    private protected FusedOptimizer(Tensor[] parameters, double weightDecay)
    {
        Parameters = parameters;
        WeightDecay = weightDecay;
    }

    /// <summary>The optimizer's own tensors, for checkpoints. The names are stable.</summary>
    public abstract IEnumerable<(string Name, Tensor Value)> State { get; }

    private protected Tensor[] Parameters { get; }

    private protected double WeightDecay { get; }

    /// <summary>The optimizer of <paramref name="options"/> over float32 <paramref name="parameters"/>.</summary>
    public static FusedOptimizer Create(Tensor[] parameters, TrainingOptions options, double weightDecay) =>
        options.Optimizer switch
        {
            Optimizer.Sgd => new Sgd(parameters, weightDecay, options.Momentum, options.Nesterov),
            Optimizer.Adam => new Adam(parameters, weightDecay, decoupled: false),
            Optimizer.AdamW => new Adam(parameters, weightDecay, decoupled: true),
            var other => throw new InvalidOperationException($"The optimizer {other} has no step. Add it to {nameof(FusedOptimizer)}."),
        };

    /// <summary>Updates the parameters. The gradients are in the order of the parameters.</summary>
    public abstract void Step(Tensor[] gradients, double learningRate);

    /// <summary>Disposes of the optimizer's state, not of the parameters.</summary>
    public void Dispose()
    {
        foreach (var (_, tensor) in State)
            tensor.Dispose();
    }

    private static Tensor[] ZerosLike(Tensor[] parameters) =>
        [.. parameters.Select(p => zeros_like(p, requires_grad: false).DetachFromDisposeScope())];

    private sealed class Sgd(Tensor[] parameters, double weightDecay, double momentum, bool nesterov)
        : FusedOptimizer(parameters, weightDecay)
    {
        private readonly Tensor[] _buffers = momentum > 0 ? ZerosLike(parameters) : [];

        public override IEnumerable<(string, Tensor)> State => _buffers.Select((b, i) => ($"momentum.{i}", b));

        public override void Step(Tensor[] gradients, double learningRate) =>
            TensorListKernels.StepSgd(Parameters, gradients, _buffers, learningRate, momentum, WeightDecay, nesterov);
    }

    private sealed class Adam(Tensor[] parameters, double weightDecay, bool decoupled) : FusedOptimizer(parameters, weightDecay)
    {
        private const double Beta1 = 0.9;
        private const double Beta2 = 0.999;
        private const double Epsilon = 1e-8;

        private readonly Tensor[] _means = ZerosLike(parameters);
        private readonly Tensor[] _squares = ZerosLike(parameters);
        private readonly Tensor _step = zeros([], ScalarType.Float32, parameters[0].device).DetachFromDisposeScope();

        public override IEnumerable<(string, Tensor)> State =>
            _means.Select((m, i) => ($"mean.{i}", m)).Concat(_squares.Select((s, i) => ($"square.{i}", s))).Append(("step", _step));

        public override void Step(Tensor[] gradients, double learningRate) =>
            TensorListKernels.StepAdam(
                Parameters, gradients, _means, _squares, _step, learningRate, Beta1, Beta2, Epsilon, WeightDecay, decoupled);
    }
}
