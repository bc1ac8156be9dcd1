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

    private static long FanIn(Tensor weight) => weight.numel() / weight.shape[0];

    private static long FanOut(Tensor weight) => weight.numel() / weight.shape[1];
}
