namespace Microsoft.ML.Flooding;

/// <summary>Which weights of a file training started from.</summary>
/// <param name="Loaded">The network's tensors that were loaded from the file.</param>
/// <param name="Skipped">The file's tensors that were not used, each with the reason. Usually the head, if the classes differ.</param>
/// <param name="Missing">The network's tensors that kept their random initial values.</param>
public sealed record PretrainedWeightsReport(IReadOnlyList<string> Loaded, IReadOnlyList<string> Skipped, IReadOnlyList<string> Missing)
{
    /// <summary>The number of tensors in each list, as a sentence.</summary>
    public override string ToString() =>
        $"{Loaded.Count} tensors loaded, {Skipped.Count} skipped, {Missing.Count} left at their initial values.";
}
