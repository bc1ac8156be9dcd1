using TorchSharp.Modules;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace BringYourOwnModel;

/// <summary>A network that is not part of the library: two branches with kernels of two sizes see the image at two scales.</summary>
internal sealed class OwnNetwork : Module<Tensor, Tensor>
{
    private readonly Sequential _fine;
    private readonly Sequential _coarse;
    private readonly Linear _classifier;

    public OwnNetwork(int classes, int channels) : base(nameof(OwnNetwork))
    {
        _fine = Branch(channels, kernel: 3);
        _coarse = Branch(channels, kernel: 7);
        _classifier = Linear(2 * 12 * 4 * 4, classes);
        RegisterComponents();
    }

    public override Tensor forward(Tensor images) =>
        _classifier.call(cat([_fine.call(images), _coarse.call(images)], 1));

    private static Sequential Branch(int channels, int kernel) => Sequential(
        Conv2d(channels, 12, kernel, stride: 2, padding: kernel / 2), BatchNorm2d(12), ReLU(),
        Conv2d(12, 12, 3, padding: 1), BatchNorm2d(12), ReLU(), AdaptiveAvgPool2d(4), Flatten());
}
