using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Networks;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Tests.Networks;

/// <summary>
/// Compares networks with torchvision's. A file is named network-ARCHITECTURE; Fixtures/oracle/README.md describes what it holds.
/// </summary>
[TestClass]
public class OracleTests
{
    private const string Prefix = "network-";

    public static IEnumerable<string> Files =>
        Directory.EnumerateFiles(Fixtures.Oracle, $"{Prefix}*.safetensors").Order().Select(path => Path.GetFileName(path));

    [TestMethod]
    [DynamicData(nameof(Files))]
    public void Logits_are_those_of_torchvision(string file)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var oracle = SafetensorsFile.Open(Path.Combine(Fixtures.Oracle, file));
        var state = oracle.LoadAll();
        state.Remove("input", out var input);
        state.Remove("logits", out var logits);
        using var network = Create(file, input!.shape, (int)logits!.shape[1]);
        network.LoadState(state);
        network.eval();

        var difference = (network.forward(input) - logits).abs().max().item<float>();

        Assert.IsLessThan(1e-4f, difference);
    }

    [TestMethod]
    [DynamicData(nameof(Files))]
    public void Parameters_are_those_of_torchvision(string file)
    {
        using var oracle = SafetensorsFile.Open(Path.Combine(Fixtures.Oracle, file));
        using var network = Create(file, oracle.Entries.First(entry => entry.Name == "input").Shape.AsSpan(), 10);
        CollectionAssert.AreEquivalent(
            oracle.Entries.Select(entry => entry.Name).Except(["input", "logits"]).ToList(),
            network.State().Select(entry => entry.Name).ToList());
    }

    private static Network Create(string file, ReadOnlySpan<long> input, int classes)
    {
        var architecture = Architecture.Parse(Path.GetFileNameWithoutExtension(file)[Prefix.Length..]);
        if (architecture.Family.HasStem)
            architecture = architecture.WithStem(Stem.ImageNet);
        using var generator = new Generator(1);
        return architecture.Create(new ImageShape((int)input[2], (int)input[3], (int)input[1]), classes, generator);
    }
}
