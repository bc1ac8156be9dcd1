namespace Microsoft.ML.Flooding;

/// <summary>What became of the weights of a file that training started from.</summary>
/// <param name="Loaded">The tensors of the network that got their values from the file.</param>
/// <param name="Skipped">The tensors of the file that were not used, each with the reason: as a rule the head of other classes.</param>
/// <param name="Missing">The tensors of the network that began with random values.</param>
public sealed record PretrainedWeightsReport(IReadOnlyList<string> Loaded, IReadOnlyList<string> Skipped, IReadOnlyList<string> Missing)
{
    /// <summary>The counts, as one sentence.</summary>
    public override string ToString() => $"{Loaded.Count} tensors loaded, {Skipped.Count} skipped, {Missing.Count} left as they were.";
}
