using Microsoft.ML.Flooding.Runtime;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Networks;

/// <summary>Initial values, drawn from a given generator. TorchSharp's own <c>init</c> functions take one and ignore it.</summary>
internal static class Initialization
{
    /// <summary>PyTorch's default for convolutions and linear layers: weights and biases uniform within 1 / sqrt(fan in).</summary>
    public static void Default(Tensor weight, Tensor? bias, Generator generator)
    {
        var bound = 1 / Math.Sqrt(FanIn(weight));
        weight.uniform_(-bound, bound, generator);
        bias?.uniform_(-bound, bound, generator);
    }

    /// <summary>He et al., "Delving Deep into Rectifiers", ICCV 2015, arXiv:1502.01852: normal of variance 2 / fan out.</summary>
    public static void KaimingNormalFanOut(Tensor weight, Generator generator) =>
        weight.normal_(0, Math.Sqrt(2.0 / FanOut(weight)), generator);

    /// <summary>A normal distribution cut off at 4.9 standard deviations, by its inverse distribution function as PyTorch's <c>trunc_normal_</c>.</summary>
    public static void TruncatedNormal(Tensor weight, double deviation, Generator generator)
    {
        // Just below 1, where the inverse is infinite: 4.9 standard deviations.
        const double Range = 1 - 1e-6;
        weight.uniform_(-Range, Range, generator).erfinv_().TimesInPlace(deviation * Math.Sqrt(2));
    }

    /// <summary>What torchvision's MobileNets start from.</summary>
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
