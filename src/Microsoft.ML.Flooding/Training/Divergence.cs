namespace Microsoft.ML.Flooding.Training;

/// <summary>Why a run cannot go on: a figure or a weight is no longer finite.</summary>
/// <param name="Message">Where it happened, and what to do.</param>
/// <param name="LowestBatchLoss">The lowest loss of the epoch's mini-batches before it happened; infinity where there is none.</param>
internal sealed record Divergence(string Message, float LowestBatchLoss);
