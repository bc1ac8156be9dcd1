namespace Microsoft.ML.Flooding.Networks;

/// <summary>A function of two values, element by element.</summary>
internal enum BinaryOperator
{
    Add,
    Subtract,
    Multiply,
    Divide,
    Power,
    Minimum,
    Maximum,
}
