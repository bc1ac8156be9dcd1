using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Runtime;

/// <summary>
/// Arithmetic of tensors and numbers that keeps each number alive during the native call. TorchSharp's own operators convert a number (and
/// the implicit factor of a sum of tensors) to a temporary Scalar. The garbage collector may free it while the native call reads it, which
/// results in an exception or a wrong number.
/// </summary>
internal static class Arithmetic
{
    private static readonly Scalar One = 1;

    public static Tensor Plus(this Tensor x, Tensor y) => x.add(y, One);

    public static Tensor Plus(this Tensor x, double y)
    {
        using Scalar number = y;
        return x.add(number, One);
    }

    /// <summary>The sum with an integer; the type of an integer tensor does not change.</summary>
    public static Tensor Plus(this Tensor x, long y)
    {
        using Scalar number = y;
        return x.add(number, One);
    }

    public static Tensor PlusInPlace(this Tensor x, Tensor y) => x.add_(y, One);

    public static Tensor PlusInPlace(this Tensor x, Tensor y, double factor)
    {
        using Scalar number = factor;
        return x.add_(y, number);
    }

    public static Tensor Minus(this Tensor x, double y)
    {
        using Scalar number = y;
        return x.sub(number);
    }

    public static Tensor Times(this Tensor x, double y)
    {
        using Scalar number = y;
        return x.mul(number);
    }

    public static Tensor TimesInPlace(this Tensor x, double y)
    {
        using Scalar number = y;
        return x.mul_(number);
    }

    public static Tensor Over(this Tensor x, double y)
    {
        using Scalar number = y;
        return x.div(number);
    }

    public static Tensor OverInPlace(this Tensor x, double y)
    {
        using Scalar number = y;
        return x.div_(number);
    }

    public static Tensor AtLeast(this Tensor x, double lowest)
    {
        using Scalar number = lowest;
        return x.clamp_min(number);
    }

    public static Tensor Within(this Tensor x, double lowest, double highest)
    {
        using Scalar low = lowest, high = highest;
        return x.clamp(low, high);
    }

    public static Tensor IsBelow(this Tensor x, double y)
    {
        using Scalar number = y;
        return x.lt(number);
    }

    public static Tensor IsAtLeast(this Tensor x, double y)
    {
        using Scalar number = y;
        return x.ge(number);
    }
}
