using System.IO.Compression;
using System.Text;
using TorchSharp;

namespace Microsoft.ML.Flooding.Networks;

/// <summary>
/// Compiles the methods of a TorchScript class. <c>jit.compile</c> knows only the functions of <c>torch</c>. A module loaded from an
/// archive can call any operator registered in libtorch, including oneDNN's. The source is therefore written to an archive in memory, in
/// the format of torch.jit.save.
/// </summary>
internal static class ScriptSource
{
    private const string ClassName = "Kernels";

    // A pickled object of the class. Its only member is the mode, which every module has.
    private const string Module = "\u0080\u0002c__torch__\n" + ClassName + "\n)\u0081}(X\u0008\0\0\0training\u0089ub.";
    private const string NoConstants = "\u0080\u0002).";

    /// <summary>Compiles a module; its methods are invoked by name.</summary>
    /// <param name="methods">
    /// The source in the dialect of archives: typed parameters, the first one <c>self</c> of type <c>__torch__.Kernels</c>, indented by two
    /// spaces. It must be a constant of the program.
    /// </param>
    public static torch.jit.ScriptModule Compile(string methods)
    {
        using var bytes = new MemoryStream();
        using (var archive = new ZipArchive(bytes, ZipArchiveMode.Create, leaveOpen: true))
        {
            Add(archive, "data.pkl", Module);
            Add(
                archive, "code/__torch__.py",
                $"class {ClassName}(Module):\n  __parameters__ = []\n  __buffers__ = []\n  training : bool\n"
                + methods.ReplaceLineEndings("\n"));
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
