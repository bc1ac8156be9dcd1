using Microsoft.ML.Flooding.Images;
using TorchSharp.Modules;
using static TorchSharp.torch.nn;

namespace Microsoft.ML.Flooding.Networks;

/// <summary>A multilayer perceptron: hidden layers with batch norm (Ioffe, Szegedy, ICML 2015, arXiv:1502.03167) and ReLU.</summary>
internal sealed class Mlp : Network
{
    private readonly Stack _layers;

    public Mlp(ImageShape shape, IReadOnlyList<int> hiddenSizes, int classes) : base(nameof(Mlp))
    {
        int[] sizes = [shape.Length, .. hiddenSizes];
        _layers = this.Register("layers", new Stack(hiddenSizes.Select((size, i) => new Layer(sizes[i], size))));
        Head = this.Register("fc", Linear(sizes[^1], classes));
    }

    public override Linear Head { get; }

    public override T Features<T>(IOperators<T> op, T x) => _layers.Apply(op, op.Flatten(1, x));

    private sealed class Layer : Block
    {
        private readonly Linear _linear;
        private readonly BatchNorm1d _norm;

        public Layer(int inputs, int outputs) : base(nameof(Layer))
        {
            _linear = this.Register("linear", Linear(inputs, outputs));
            _norm = this.Register("bn", BatchNorm1d(outputs));
        }

        public override T Apply<T>(IOperators<T> op, T x) => op.Activate(Activation.Relu, op.LinearBatchNorm(_linear, _norm, x));
    }
}
