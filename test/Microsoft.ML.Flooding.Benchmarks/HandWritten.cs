using TorchSharp.Modules;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;
using Module = TorchSharp.torch.nn.Module<TorchSharp.torch.Tensor, TorchSharp.torch.Tensor>;

namespace Microsoft.ML.Flooding.Benchmarks;

/// <summary>The library's networks as a user of TorchSharp writes them, with the modules of TorchSharp.</summary>
internal static class HandWritten
{
    public static Module Mlp(int inputs, int classes) => Sequential(
        Flatten(),
        Linear(inputs, 1000), BatchNorm1d(1000), ReLU(),
        Linear(1000, 1000), BatchNorm1d(1000), ReLU(),
        Linear(1000, classes));

    public static Module ConvNet(int channels, int classes) => Sequential(
        [
            .. Stage(channels, 32), MaxPool2d(2),
            .. Stage(32, 64), MaxPool2d(2),
            .. Stage(64, 128), AdaptiveAvgPool2d(1),
            Flatten(), Linear(128, classes),
        ]);

    public static Module ResNet18(int channels, int classes) => Sequential(
        Conv2d(channels, 64, 3, padding: 1, bias: false), BatchNorm2d(64), ReLU(),
        new BasicBlock(64, 64, 1), new BasicBlock(64, 64, 1),
        new BasicBlock(64, 128, 2), new BasicBlock(128, 128, 1),
        new BasicBlock(128, 256, 2), new BasicBlock(256, 256, 1),
        new BasicBlock(256, 512, 2), new BasicBlock(512, 512, 1),
        AdaptiveAvgPool2d(1), Flatten(), Linear(512, classes));

    private static IEnumerable<Module> Stage(int inputs, int outputs) =>
    [
        Conv2d(inputs, outputs, 3, padding: 1, bias: false), BatchNorm2d(outputs), ReLU(),
        Conv2d(outputs, outputs, 3, padding: 1, bias: false), BatchNorm2d(outputs), ReLU(),
    ];

    private sealed class BasicBlock : Module
    {
        private readonly Conv2d _conv1;
        private readonly BatchNorm2d _bn1;
        private readonly Conv2d _conv2;
        private readonly BatchNorm2d _bn2;
        private readonly Sequential? _downsample;

        public BasicBlock(int inputs, int outputs, int stride) : base(nameof(BasicBlock))
        {
            _conv1 = Conv2d(inputs, outputs, 3, stride, padding: 1, bias: false);
            _bn1 = BatchNorm2d(outputs);
            _conv2 = Conv2d(outputs, outputs, 3, padding: 1, bias: false);
            _bn2 = BatchNorm2d(outputs);
            if (stride != 1)
                _downsample = Sequential(Conv2d(inputs, outputs, 1, stride, bias: false), BatchNorm2d(outputs));
            RegisterComponents();
        }

        public override Tensor forward(Tensor x)
        {
            var y = functional.relu(_bn1.forward(_conv1.forward(x)));
            y = _bn2.forward(_conv2.forward(y));
            return functional.relu(y + (_downsample is null ? x : _downsample.forward(x)));
        }
    }
}
