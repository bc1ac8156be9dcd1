namespace Microsoft.ML.Flooding.Networks;

/// <summary>A function of each value by itself.</summary>
/// <param name="Function">Which one.</param>
/// <param name="First">
/// The slope of <see cref="Function.LeakyRelu"/>, the lowest value of <see cref="Function.Clip"/>, the slope of <see
/// cref="Function.HardSigmoid"/>.
/// </param>
/// <param name="Second">The highest value of <see cref="Function.Clip"/>, the offset of <see cref="Function.HardSigmoid"/>.</param>
internal readonly record struct Activation(Function Function, double First = 0, double Second = 0)
{
    public static Activation Relu { get; } = new(Function.Relu);

    public static Activation Relu6 { get; } = Clip(0, 6);

    public static Activation Sigmoid { get; } = new(Function.Sigmoid);

    public static Activation HardSigmoid { get; } = new(Function.HardSigmoid, 1.0 / 6, 0.5);

    public static Activation HardSwish { get; } = new(Function.HardSwish);

    public static Activation Silu { get; } = new(Function.Silu);

    /// <summary>The exact one, by the error function.</summary>
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

    /// <summary>GELU's approximation by the hyperbolic tangent.</summary>
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
