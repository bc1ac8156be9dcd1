namespace Microsoft.ML.Flooding.Networks;

/// <summary>The elementwise nonlinearities the networks use.</summary>
internal enum Activation
{
    Relu,
    Relu6,
    Sigmoid,
    Hardsigmoid,
    Hardswish,
    Silu,

    /// <summary>The exact one, by the error function.</summary>
    Gelu,
}
