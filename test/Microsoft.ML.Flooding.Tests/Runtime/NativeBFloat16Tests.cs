using Microsoft.ML.Flooding.Runtime;

namespace Microsoft.ML.Flooding.Tests.Runtime;

[TestClass]
public sealed class NativeBFloat16Tests
{
    [TestMethod]
    [DataRow("6.1", false)]
    [DataRow("7.5", false)]
    [DataRow("8.0", true)]
    [DataRow("8.9", true)]
    [DataRow("12.0", true)]
    public void A_GPU_has_bfloat16_from_Ampere_on(string capability, bool supported) =>
        Assert.AreEqual(supported, NativeBFloat16.IsSupportedAt(Version.Parse(capability)));

    [TestMethod]
    public void A_GPU_that_tells_nothing_computes_in_float32()
    {
        Assert.IsFalse(NativeBFloat16.IsSupportedAt(null));
        Assert.IsNull(CudaDriver.ComputeCapability(99));
    }
}
