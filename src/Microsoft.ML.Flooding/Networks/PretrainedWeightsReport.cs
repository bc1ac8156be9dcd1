namespace Microsoft.ML.Flooding.Networks;

/// <summary>What became of pretrained weights.</summary>
/// <param name="Loaded">The tensors of the network that got their values from the file.</param>
/// <param name="Skipped">The tensors of the file that were not used, each with the reason.</param>
/// <param name="Missing">The tensors of the network that keep their initial values.</param>
internal sealed record PretrainedWeightsReport(IReadOnlyList<string> Loaded, IReadOnlyList<string> Skipped, IReadOnlyList<string> Missing)
{
    public override string ToString() => $"{Loaded.Count} tensors loaded, {Skipped.Count} skipped, {Missing.Count} left as they were.";
}
