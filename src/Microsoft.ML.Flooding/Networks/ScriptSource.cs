using System.IO.Compression;
using System.Text;
using TorchSharp;

namespace Microsoft.ML.Flooding.Networks;

/// <summary>
/// Compiles the methods of a TorchScript class. <c>jit.compile</c> knows the functions of <c>torch</c> alone; what is loaded from an archive may call
/// any operator that libtorch has registered, oneDNN's among them. So the source goes into an archive in memory, as torch.jit.save would write it.
/// </summary>
internal static class ScriptSource
{
    private const string ClassName = "Kernels";

    // A pickled object of the class without members but the mode, which every module has.
    private const string Module = "\u0080\u0002c__torch__\n" + ClassName + "\n)\u0081}(X\u0008\0\0\0training\u0089ub.";
    private const string NoConstants = "\u0080\u0002).";

    /// <summary>The module, whose methods are invoked by name.</summary>
    /// <param name="methods">
    /// In the dialect of archives: typed parameters, <c>self</c> first, of type <c>__torch__.Kernels</c>, indented by two spaces. A constant, as the source of a
    /// program is.
    /// </param>
    public static torch.jit.ScriptModule Compile(string methods)
    {
        using var bytes = new MemoryStream();
        using (var archive = new ZipArchive(bytes, ZipArchiveMode.Create, leaveOpen: true))
        {
            Add(archive, "data.pkl", Module);
            Add(archive, "code/__torch__.py", $"class {ClassName}(Module):\n  __parameters__ = []\n  __buffers__ = []\n  training : bool\n{methods.ReplaceLineEndings("\n")}");
            Add(archive, "constants.pkl", NoConstants);
            Add(archive, "version", "3\n");
        }
        return torch.jit.load(bytes.ToArray());
    }

    private static void Add(ZipArchive archive, string name, string content)
    {
        using var entry = archive.CreateEntry("archive/" + name, CompressionLevel.NoCompression).Open();
        entry.Write(Encoding.Latin1.GetBytes(content));
    }
}
