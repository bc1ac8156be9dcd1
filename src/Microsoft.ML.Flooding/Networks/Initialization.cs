using Microsoft.ML.Flooding.Runtime;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Networks;

/// <summary>Draws initial values from a given generator. TorchSharp's <c>init</c> functions have such a parameter, but ignore it.</summary>
internal static class Initialization
{
    /// <summary>PyTorch's default for convolutions and linear layers: uniform from -1 / sqrt(fan in) to 1 / sqrt(fan in).</summary>
    public static void Default(Tensor weight, Tensor? bias, Generator generator)
    {
        var bound = 1 / Math.Sqrt(FanIn(weight));
        weight.uniform_(-bound, bound, generator);
        bias?.uniform_(-bound, bound, generator);
    }

    /// <summary>Normal with variance 2 / fan out (He et al., "Delving Deep into Rectifiers", ICCV 2015, arXiv:1502.01852).</summary>
    public static void KaimingNormalFanOut(Tensor weight, Generator generator) =>
        weight.normal_(0, Math.Sqrt(2.0 / FanOut(weight)), generator);

    /// <summary>
    /// A normal distribution truncated at 4.9 standard deviations, drawn with its inverse distribution function as in PyTorch's
    /// <c>trunc_normal_</c>.
    /// </summary>
    public static void TruncatedNormal(Tensor weight, double deviation, Generator generator)
    {
        // Just below 1, where the inverse is infinite. This corresponds to 4.9 standard deviations.
        const double Range = 1 - 1e-6;
        weight.uniform_(-Range, Range, generator).erfinv_().TimesInPlace(deviation * Math.Sqrt(2));
    }

    /// <summary>The initial values of torchvision's MobileNets.</summary>
    public static void MobileNet(nn.Module module, Generator generator)
    {
        switch (module)
        {
            case Conv2d conv:
                KaimingNormalFanOut(conv.weight, generator);
                conv.bias?.zero_();
                break;
            case Linear linear:
                linear.weight.normal_(0, 0.01, generator);
                linear.bias!.zero_();
                break;
        }
    }

    private static long FanIn(Tensor weight) => weight.numel() / weight.shape[0];

    private static long FanOut(Tensor weight) => weight.numel() / weight.shape[1];
}
