using Microsoft.ML.Flooding.Runtime;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Tests.Runtime;

/// <summary>The settings are libtorch's, and are kept by a build without CUDA as well.</summary>
[TestClass]
[DoNotParallelize]
public sealed class TensorFloat32Tests
{
    private static (bool Products, bool Convolutions) Settings => (backends.cuda.matmul.allow_tf32, backends.cudnn.allow_tf32);

    [TestMethod]
    public void On_while_someone_holds_it_then_as_before()
    {
        var before = Settings;
        var gpu = new Device(DeviceType.CUDA, 0);
        using (var first = TensorFloat32.Begin(gpu))
        {
            using (TensorFloat32.Begin(gpu))
                first!.Dispose();
            Assert.AreEqual(before, Settings);
            using var again = TensorFloat32.Begin(gpu);
            Assert.AreEqual((true, true), Settings);
        }
        Assert.AreEqual(before, Settings);
    }

    [TestMethod]
    public void On_a_CPU_nothing_changes()
    {
        var before = Settings;
        using var held = TensorFloat32.Begin(CPU);
        Assert.IsNull(held);
        Assert.AreEqual(before, Settings);
    }
}
