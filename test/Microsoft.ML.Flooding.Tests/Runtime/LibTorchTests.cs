using Microsoft.ML.Flooding.Runtime;

namespace Microsoft.ML.Flooding.Tests.Runtime;

[TestClass]
public sealed class LibTorchTests
{
    [TestMethod]
    [DataRow("GLIBCXX_3.4.32", "libstdc++.so.6")]
    [DataRow("GLIBC_2.38", "libc.so.6")]
    public void A_runtime_that_is_too_old_is_named(string version, string library)
    {
        var loader = "Unable to load shared library 'libLibTorchSharp.so' or one of its dependencies.\n"
            + $"/lib/x86_64-linux-gnu/{library}: version `{version}' not found (required by libLibTorchSharp.so)";
        var message = LibTorch.Explain(loader, new DllNotFoundException("page after page"));
        StringAssert.Contains(message, version);
        StringAssert.Contains(message, library);
        Assert.IsFalse(message.Contains("page after page", StringComparison.Ordinal));
    }

    [TestMethod]
    [DataRow("")]
    [DataRow("libtorch.so: cannot open shared object file: No such file or directory\nsecond line")]
    public void A_missing_back_end_is_named_with_the_version_that_fits(string loader)
    {
        var message = LibTorch.Explain(
            loader, new TypeInitializationException("TorchSharp.torch", new NotSupportedException("the cause\nsecond line")));
        StringAssert.Contains(message, "TorchSharp-cpu");
        StringAssert.Contains(message, "version 0.107.0");
        StringAssert.Contains(message, loader.Length > 0 ? "cannot open shared object file" : "the cause");
        Assert.IsFalse(message.Contains("second line", StringComparison.Ordinal), "one line is enough");
    }
}
