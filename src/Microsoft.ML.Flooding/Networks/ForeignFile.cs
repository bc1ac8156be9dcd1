using System.Text;

namespace Microsoft.ML.Flooding.Networks;

/// <summary>Recognizes files that are not weights, and says what they are and what to do.</summary>
internal static class ForeignFile
{
    /// <summary>The number of bytes needed to recognize a file: the mark of a tar archive is at byte 257.</summary>
    public const int PrefixLength = 512;

    private const string OldPyTorch =
        "It has the format of PyTorch before 1.6, which is not supported. Save it again with a current PyTorch: "
        + "torch.save(torch.load(\"old.pth\", weights_only=True, map_location=\"cpu\"), \"new.pth\").";

    /// <summary>One or two sentences about a file that is neither safetensors nor PyTorch's zip format.</summary>
    /// <param name="start">Its first <see cref="PrefixLength"/> bytes, or all of them if it has fewer.</param>
    public static string Describe(ReadOnlySpan<byte> start)
    {
        var text = Encoding.UTF8.GetString(start).TrimStart('\uFEFF', ' ', '\t', '\r', '\n');
        bool Begins(string word) => text.StartsWith(word, StringComparison.OrdinalIgnoreCase);
        return start switch
        {
            [] => "The file is empty. Copy or download it again.",
            _ when Begins("version https://git-lfs.github.com/") =>
                "It is a Git LFS pointer, not the file itself. Run 'git lfs pull' in the repository, or download the file.",
            _ when Begins("<!DOCTYPE html") || Begins("<html") || Begins("<head") || Begins("<?xml") =>
                "It is a web page: the downloaded address is that of a page about the file. Download the file itself "
                + "(on Hugging Face, the address with /resolve/ instead of /blob/; on GitHub, the one with /raw/).",
            // The magic number that torch.save pickled first.
            [0x80, 0x02, 0x8A, 0x0A, 0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19, ..] => OldPyTorch,
            [0x80, >= 2 and <= 5, ..] =>
                "It is a Python pickle that torch.save did not write. " + StateDictPickle.Remedy,
            _ when IsTar(start) => Begins("sys_info") || Begins("pickle") || Begins("storages") || Begins("tensors")
                ? OldPyTorch
                : "It is a tar archive. Unpack it and use the weights file in it.",
            [0x1F, 0x8B, ..] => "It is compressed with gzip. Unpack it first.",
            [0x37, 0x7A, 0xBC, 0xAF, 0x27, 0x1C, ..] => "It is a 7-Zip archive. Unpack it first.",
            [0x89, (byte)'H', (byte)'D', (byte)'F', ..] => "It is an HDF5 file, as Keras writes them. " + Expected,
            [0x93, (byte)'N', (byte)'U', (byte)'M', (byte)'P', (byte)'Y', ..] => "It is a NumPy array. " + Expected,
            // The first field of ModelProto, its version, followed by a text field.
            [0x08, <= 20, 0x12 or 0x1A or 0x22 or 0x2A or 0x32 or 0x3A or 0x42, ..] =>
                "It looks like an ONNX model. Use Architecture.FromOnnx, which trains its network with its weights. " + Expected,
            _ when Begins("{") || Begins("[") => "It is JSON, such as the configuration or the index beside a weights file. " + Expected,
            _ => "It is not a weights file. " + Expected,
        };
    }

    /// <summary>Names the files that can be read.</summary>
    public const string Expected = "Use a safetensors file or a file that torch.save wrote (PyTorch 1.6 or newer).";

    private static bool IsTar(ReadOnlySpan<byte> start) => start.Length > 262 && start[257..262].SequenceEqual("ustar"u8);
}
