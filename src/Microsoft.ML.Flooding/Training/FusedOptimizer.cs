using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Training;

/// <summary>
/// One step of the whole list of parameters in one native call, where TorchSharp's optimizers loop over them in C#. Formula and order of
/// operations are PyTorch's fused kernels'.
/// </summary>
internal abstract class FusedOptimizer : IDisposable
{
    private readonly string _suffix;

    private protected FusedOptimizer(Tensor[] parameters, TrainingOptions options, double weightDecay, bool foreachKernels)
    {
        Parameters = parameters;
        Decay = weightDecay.ToScalar();
        _suffix = foreachKernels ? "_foreach" : "";
    }

    /// <summary>The optimizer's own tensors, for checkpoints: names are stable.</summary>
    public abstract IEnumerable<(string Name, Tensor Value)> State { get; }

    private protected Tensor[] Parameters { get; }

    private protected Scalar Decay { get; }

    /// <summary>Updates the parameters along their gradients (same order).</summary>
    public abstract void Step(Tensor[] gradients, double learningRate);

    /// <summary>Releases the optimizer's state, not the parameters.</summary>
    public virtual void Dispose()
    {
        foreach (var (_, tensor) in State)
            tensor.Dispose();
        Decay.Dispose();
    }

    /// <summary>The optimizer of <paramref name="options"/> over float32 <paramref name="parameters"/>.</summary>
    public static FusedOptimizer Create(Tensor[] parameters, TrainingOptions options, double weightDecay, bool foreachKernels = false) =>
        options.Optimizer == Optimizer.Sgd
            ? new Sgd(parameters, options, weightDecay, foreachKernels)
            : new Adam(parameters, options, weightDecay, foreachKernels);

    private protected void Invoke(string kernel, params ReadOnlySpan<object> arguments) =>
        TensorListKernels.Invoke(kernel + _suffix, [.. arguments]);

    private static Tensor[] ZerosLike(Tensor[] parameters) =>
        [.. parameters.Select(p => zeros_like(p, requires_grad: false).DetachFromDisposeScope())];

    private sealed class Sgd : FusedOptimizer
    {
        private readonly Tensor[] _buffers;
        private readonly Scalar _momentum;
        private readonly bool _nesterov;

        public Sgd(Tensor[] parameters, TrainingOptions options, double weightDecay, bool foreachKernels)
            : base(parameters, options, weightDecay, foreachKernels)
        {
            _buffers = options.Momentum > 0 ? ZerosLike(parameters) : [];
            _momentum = options.Momentum.ToScalar();
            _nesterov = options.Nesterov;
        }

        public override IEnumerable<(string, Tensor)> State => _buffers.Select((b, i) => ($"momentum.{i}", b));

        public override void Step(Tensor[] gradients, double learningRate)
        {
            using var rate = learningRate.ToScalar();
            Invoke("sgd", Parameters, gradients, _buffers, rate, _momentum, Decay, _nesterov);
        }

        public override void Dispose()
        {
            base.Dispose();
            _momentum.Dispose();
        }
    }

    private sealed class Adam : FusedOptimizer
    {
        private static readonly Scalar Beta1 = 0.9.ToScalar();
        private static readonly Scalar Beta2 = 0.999.ToScalar();
        private static readonly Scalar Epsilon = 1e-8.ToScalar();

        private readonly Tensor[] _means;
        private readonly Tensor[] _squares;
        private readonly Tensor _step;
        private readonly bool _decoupled;

        public Adam(Tensor[] parameters, TrainingOptions options, double weightDecay, bool foreachKernels)
            : base(parameters, options, weightDecay, foreachKernels)
        {
            _means = ZerosLike(parameters);
            _squares = ZerosLike(parameters);
            _step = zeros([], ScalarType.Float32, parameters[0].device).DetachFromDisposeScope();
            _decoupled = options.Optimizer == Optimizer.AdamW;
        }

        public override IEnumerable<(string, Tensor)> State =>
            _means.Select((m, i) => ($"mean.{i}", m)).Concat(_squares.Select((s, i) => ($"square.{i}", s))).Append(("step", _step));

        public override void Step(Tensor[] gradients, double learningRate)
        {
            using var rate = learningRate.ToScalar();
            Invoke("adam", Parameters, gradients, _means, _squares, _step, rate, Beta1, Beta2, Epsilon, Decay, _decoupled);
        }
    }
}
