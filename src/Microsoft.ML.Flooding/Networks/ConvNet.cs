using Microsoft.ML.Flooding.Images;
using TorchSharp.Modules;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Microsoft.ML.Flooding.Networks;

/// <summary>
/// A small network for small images: three stages of two 3x3 convolutions with batch norm and ReLU. Between stages, the resolution is
/// halved and the number of channels doubled, as in Simonyan and Zisserman (ICLR 2015, arXiv:1409.1556).
/// </summary>
internal sealed class ConvNet : Network
{
    private const int SmallestSide = 4;
    private readonly Stack _stages;

    public ConvNet(ImageShape shape, int width, int classes) : base(nameof(ConvNet))
    {
        if (Math.Min(shape.Height, shape.Width) < SmallestSide)
        {
            throw new ArgumentException(
                $"The architecture 'convnet' needs images of at least {SmallestSide} x {SmallestSide} pixels; these are {shape}.");
        }
        _stages = this.Register("stages", new Stack(
        [
            new Stage(shape.Channels, width, pool: true),
            new Stage(width, 2 * width, pool: true),
            new Stage(2 * width, 4 * width, pool: false),
        ]));
        Head = this.Register("fc", Linear(4 * width, classes));
    }

    public override Linear Head { get; }

    public override T Features<T>(IOperators<T> op, T x) => op.Flatten(1, op.GlobalAveragePool(_stages.Apply(op, x)));

    protected override void InitializeModule(Module module, Generator generator)
    {
        if (module is Conv2d conv)
            Initialization.KaimingNormalFanOut(conv.weight, generator);
        else
            base.InitializeModule(module, generator);
    }

    private sealed class Stage : Block
    {
        private readonly Conv2d _conv1;
        private readonly BatchNorm2d _bn1;
        private readonly Conv2d _conv2;
        private readonly BatchNorm2d _bn2;
        private readonly bool _pool;

        public Stage(int inputs, int outputs, bool pool) : base(nameof(Stage))
        {
            _conv1 = this.Register("conv1", Conv2d(inputs, outputs, 3, padding: 1, bias: false));
            _bn1 = this.Register("bn1", BatchNorm2d(outputs));
            _conv2 = this.Register("conv2", Conv2d(outputs, outputs, 3, padding: 1, bias: false));
            _bn2 = this.Register("bn2", BatchNorm2d(outputs));
            _pool = pool;
        }

        public override T Apply<T>(IOperators<T> op, T x)
        {
            x = op.Activate(Activation.Relu, op.ConvBatchNorm(_conv1, _bn1, x));
            x = op.ConvBatchNorm(_conv2, _bn2, x);
            // Pooling before the activation has the same result with a quarter of the work.
            return op.Activate(Activation.Relu, _pool ? op.Pool(Pooling.Max(2, 2, 0), x) : x);
        }
    }
}
