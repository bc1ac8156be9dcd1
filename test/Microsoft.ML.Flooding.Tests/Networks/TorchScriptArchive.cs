using System.IO.Compression;
using System.Text;

namespace Microsoft.ML.Flooding.Tests.Networks;

/// <summary>
/// Writes the archive of torch.jit.save for a linear classifier. TorchSharp can load a script but not create one.
/// The archive is a .zip of the code and of pickled attributes, whose tensors are separate entries.
/// </summary>
internal static class TorchScriptArchive
{
    /// <param name="inputs">Values of an image.</param>
    /// <param name="outputs">Classes.</param>
    /// <param name="dropout">The fraction of the inputs that are dropped in training.</param>
    public static byte[] Linear(int inputs, int outputs, string dropout = "0.")
    {
        using var bytes = new MemoryStream();
        using (var zip = new ZipArchive(bytes, ZipArchiveMode.Create, leaveOpen: true))
        {
            Add(zip, "data.pkl", Pickle(
                "c__torch__\nLinearClassifier\n)\x81}(" +
                Text("training") + "\x88" +
                Text("weight") + Tensor("0", [outputs, inputs], true) +
                Text("bias") + Tensor("1", [outputs], true) +
                Text("scale") + Tensor("2", [1], false) + "ub."));
            Add(zip, "code/__torch__.py", Encoding.UTF8.GetBytes(
                $"""
                class LinearClassifier(Module):
                  __parameters__ = ["weight", "bias", ]
                  __buffers__ = ["scale", ]
                  weight : Tensor
                  bias : Tensor
                  scale : Tensor
                  training : bool
                  def forward(self: __torch__.LinearClassifier, x: Tensor) -> Tensor:
                    kept = torch.dropout(torch.flatten(x, 1), {dropout}, self.training)
                    return torch.mul(torch.linear(kept, self.weight, self.bias), self.scale)

                """.ReplaceLineEndings("\n")));
            Add(zip, "constants.pkl", Pickle(")."));
            Add(zip, "version", "3\n"u8.ToArray());
            Add(zip, "data/0", Floats(Enumerable.Range(0, inputs * outputs).Select(i => MathF.Sin(i))));
            Add(zip, "data/1", Floats(Enumerable.Range(0, outputs).Select(i => (float)i)));
            Add(zip, "data/2", Floats([2]));
        }
        return bytes.ToArray();
    }

    private static void Add(ZipArchive zip, string name, byte[] content)
    {
        using var entry = zip.CreateEntry("archive/" + name, CompressionLevel.NoCompression).Open();
        entry.Write(content);
    }

    // Opcodes of pickle protocol 2, one character each.
    private static byte[] Pickle(string body) => Encoding.Latin1.GetBytes("\x80\x02" + body);

    private static string Text(string text) => "X" + Integer(text.Length) + text;

    private static string Number(int value) => "J" + Integer(value);

    private static string Tuple(IEnumerable<int> values) => "(" + string.Concat(values.Select(Number)) + "t";

    private static string Integer(int value) => Encoding.Latin1.GetString(BitConverter.GetBytes(value));

    private static string Tensor(string key, int[] shape, bool learned)
    {
        var strides = shape.Select((_, axis) => shape[(axis + 1)..].Aggregate(1, (product, size) => product * size));
        var storage = "(" + Text("storage") + "ctorch\nFloatStorage\n" + Text(key) + Text("cpu")
            + Number(shape.Aggregate((a, b) => a * b)) + "tQ";
        return "ctorch._utils\n_rebuild_tensor_v2\n(" + storage + Number(0) + Tuple(shape) + Tuple(strides) + (learned ? "\x88" : "\x89") +
            "ccollections\nOrderedDict\n)RtR";
    }

    private static byte[] Floats(IEnumerable<float> values) => [.. values.SelectMany(BitConverter.GetBytes)];
}
