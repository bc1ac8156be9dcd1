using Microsoft.ML.Flooding.Networks;

namespace Microsoft.ML.Flooding.Tests.Networks;

[TestClass]
public class ComplexityTests
{
    /// <summary>Compares with torchvision's published numbers, at 224 x 224 pixels and 1,000 classes.</summary>
    [TestMethod]
    [DataRow("resnet18", 11_689_512, 1.81)]
    [DataRow("resnet34", 21_797_672, 3.66)]
    [DataRow("resnet50", 25_557_032, 4.09)]
    [DataRow("resnet101", 44_549_160, 7.80)]
    [DataRow("mobilenet_v2", 3_504_872, 0.30)]
    [DataRow("mobilenet_v3_small", 2_542_856, 0.06)]
    [DataRow("mobilenet_v3_large", 5_483_032, 0.22)]
    [DataRow("efficientnet_b0", 5_288_548, 0.39)]
    [DataRow("convnext_tiny", 28_589_128, 4.46)]
    [DataRow("vit_tiny", 5_717_416, 1.25)]
    [DataRow("vit_small", 22_050_664, 4.60)]
    public void Parameters_and_multiply_adds_are_the_published_ones(string name, long parameters, double billions)
    {
        using var network = ArchitectureTests.Create(Architecture.Parse(name), new(224, 224, 3), classes: 1000);
        var complexity = Complexity.Of(network, new(224, 224, 3));
        Assert.AreEqual(parameters, complexity.Parameters);
        Assert.AreEqual(billions, complexity.MultiplyAdds / 1e9, 0.01 + (0.02 * billions));
    }
}
