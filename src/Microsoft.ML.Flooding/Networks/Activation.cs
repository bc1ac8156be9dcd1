namespace Microsoft.ML.Flooding.Networks;

/// <summary>An elementwise function.</summary>
/// <param name="Function">The function.</param>
/// <param name="First">
/// The slope of <see cref="Function.LeakyRelu"/> and <see cref="Function.HardSigmoid"/>; the lowest value of <see cref="Function.Clip"/>.
/// </param>
/// <param name="Second">
/// The offset of <see cref="Function.HardSigmoid"/>; the highest value of <see cref="Function.Clip"/>.
/// </param>
internal readonly record struct Activation(Function Function, double First = 0, double Second = 0)
{
    public static Activation Relu { get; } = new(Function.Relu);

    public static Activation Relu6 { get; } = Clip(0, 6);

    public static Activation Sigmoid { get; } = new(Function.Sigmoid);

    public static Activation HardSigmoid { get; } = new(Function.HardSigmoid, 1.0 / 6, 0.5);

    public static Activation HardSwish { get; } = new(Function.HardSwish);

    public static Activation Silu { get; } = new(Function.Silu);

    /// <summary>The exact GELU, computed with the error function.</summary>
    public static Activation Gelu { get; } = new(Function.Gelu);

    public static Activation Clip(double lowest, double highest) => new(Function.Clip, lowest, highest);
}

/// <summary>The functions of an <see cref="Activation"/>.</summary>
internal enum Function
{
    Relu,
    LeakyRelu,
    Clip,
    Sigmoid,
    HardSigmoid,
    HardSwish,
    Silu,
    Gelu,

    /// <summary>The approximation of GELU with the hyperbolic tangent.</summary>
    GeluTanh,
    Tanh,
    Erf,
    Exp,
    Log,
    Sqrt,
    Negate,
    Abs,
    Reciprocal,
}
