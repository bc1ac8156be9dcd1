namespace Microsoft.ML.Flooding.Networks;

/// <summary>What becomes of the values of an axis.</summary>
internal enum Aggregation
{
    Mean,
    Sum,
    Maximum,
}
