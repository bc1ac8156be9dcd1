using System.Buffers.Binary;
using System.Text;
using Microsoft.ML.Flooding.Networks;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Tests.Networks;

[TestClass]
public class SafetensorsTests
{
    [TestMethod]
    [DataRow(ScalarType.Float64)]
    [DataRow(ScalarType.Float32)]
    [DataRow(ScalarType.Float16)]
    [DataRow(ScalarType.BFloat16)]
    [DataRow(ScalarType.Int64)]
    [DataRow(ScalarType.Int32)]
    [DataRow(ScalarType.Int16)]
    [DataRow(ScalarType.Int8)]
    [DataRow(ScalarType.Byte)]
    [DataRow(ScalarType.Bool)]
    public void Every_type_makes_a_round_trip(ScalarType type)
    {
        using var scope = NewDisposeScope();
        var values = arange(0, 15).reshape(3, 5).to_type(type);
        var path = Path.GetTempFileName();
        try
        {
            using (var stream = File.Create(path))
                Safetensors.Write(
                    stream,
                    [("transposed", values.t()), ("odd", zeros(3, ScalarType.Byte)), ("scalar", values[2, 3]), ("empty", values[..0])]);
            using var file = SafetensorsFile.Open(path);
            Assert.AreEqual(type, file.Load("transposed").dtype);
            Assert.IsTrue(file.Load("transposed").Equals(values.t()));
            Assert.IsTrue(file.Load("scalar").Equals(values[2, 3]));
            Assert.AreEqual(0, file.Load("scalar").ndim);
            CollectionAssert.AreEqual(new long[] { 0, 5 }, file.Load("empty").shape);
            CollectionAssert.AreEqual(new[] { "transposed", "odd", "scalar", "empty" }, file.Entries.Select(entry => entry.Name).ToList());
            foreach (var entry in file.Entries.Where(entry => entry.Length > 0))
                Assert.AreEqual(0, entry.Offset % (entry.Length / Math.Max(1, entry.Shape.Aggregate(1L, (a, b) => a * b))), entry.Name);
        }
        finally
        {
            File.Delete(path);
        }
    }

    [TestMethod]
    public void Metadata_makes_a_round_trip()
    {
        using var stream = new MemoryStream();
        Safetensors.Write(stream, [], new Dictionary<string, string> { ["épée"] = "\"quoted\"\n" });
        stream.Position = 0;
        using var file = SafetensorsFile.Read(stream);
        Assert.AreEqual("\"quoted\"\n", file.Metadata["épée"]);
        Assert.IsEmpty(file.Entries);
    }

    [TestMethod]
    public void Two_tensors_of_one_name_are_not_written()
    {
        using var scope = NewDisposeScope();
        Assert.ThrowsExactly<ArgumentException>(() => Safetensors.Write(new MemoryStream(), [("a", zeros(1)), ("a", zeros(1))]));
        Assert.ThrowsExactly<ArgumentException>(() => Safetensors.Write(new MemoryStream(), [("__metadata__", zeros(1))]));
        Assert.ThrowsExactly<ArgumentException>(() => Safetensors.Write(new MemoryStream(), [("a", zeros(1, ScalarType.ComplexFloat32))]));
    }

    [TestMethod]
    [DataRow("", "JSON")]
    [DataRow("[]", "object")]
    [DataRow("{", "JSON")]
    [DataRow("{}", "8 bytes of data")]
    [DataRow("""{"a":1}""", "'a'")]
    [DataRow("""{"a":{}}""", "dtype")]
    [DataRow("""{"a":{"dtype":"F8","shape":[8],"data_offsets":[0,8]}}""", "F8")]
    [DataRow("""{"a":{"dtype":"F32","data_offsets":[0,8]}}""", "shape")]
    [DataRow("""{"a":{"dtype":"F32","shape":[2]}}""", "data_offsets")]
    [DataRow("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8,9]}}""", "data_offsets")]
    [DataRow("""{"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}}""", "shape")]
    [DataRow("""{"a":{"dtype":"F32","shape":[2.5],"data_offsets":[0,8]}}""", "shape")]
    [DataRow("""{"a":{"dtype":"F32","shape":["2"],"data_offsets":[0,8]}}""", "shape")]
    [DataRow("""{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}""", "12 bytes")]
    [DataRow("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}}""", "'a'")]
    [DataRow("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[-8,0]}}""", "data_offsets")]
    [DataRow("""{"a":{"dtype":"F32","shape":[4],"data_offsets":[0,16]}}""", "of 8")]
    [DataRow("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}""", "gap")]
    [DataRow("""{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}}""", "overlaps")]
    [DataRow("""{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}""", "twice")]
    [DataRow("""{"a":{"dtype":"F32","shape":[4611686018427387905,4],"data_offsets":[0,8]}}""", "overflow")]
    [DataRow("""{"a":{"dtype":"F32","shape":[0,9223372036854775807,2],"data_offsets":[0,0]}}""", "overflow")]
    [DataRow("""{"a":{"dtype":"F32","shape":[99999999999999999999],"data_offsets":[0,8]}}""", "shape")]
    [DataRow("""{"__metadata__":{"a":1}}""", "string")]
    [DataRow("""{"__metadata__":[]}""", "object")]
    [DataRow("{\"\\ud800\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", "Unicode")]
    public void Malformed_header_is_refused_with_its_reason(string header, string reason)
    {
        var e = Assert.ThrowsExactly<InvalidDataException>(() => SafetensorsFile.Read(new MemoryStream(Bytes(header))));
        StringAssert.Contains(e.Message, reason);
    }

    [TestMethod]
    public void Impossible_header_lengths_are_refused()
    {
        foreach (var length in new[] { 0, 1, 3, 100_000_001, long.MaxValue, long.MinValue, -1 })
        {
            var bytes = new byte[10];
            BinaryPrimitives.WriteInt64LittleEndian(bytes, length);
            Assert.ThrowsExactly<InvalidDataException>(() => SafetensorsFile.Read(new MemoryStream(bytes)));
        }
        for (var length = 0; length < 8; length++)
            Assert.ThrowsExactly<InvalidDataException>(() => SafetensorsFile.Read(new MemoryStream(new byte[length])));
    }

    [TestMethod]
    public void Deep_nesting_is_refused()
    {
        var bytes = Bytes("{\"a\":" + new string('[', 100_000) + new string(']', 100_000) + "}");
        Assert.ThrowsExactly<InvalidDataException>(() => SafetensorsFile.Read(new MemoryStream(bytes)));
    }

    [TestMethod]
    public void Every_damaged_byte_is_refused_or_harmless()
    {
        using var scope = NewDisposeScope();
        using var stream = new MemoryStream();
        Safetensors.Write(stream, [("a", zeros(2, 3)), ("b", zeros(5, ScalarType.Int64))], new Dictionary<string, string> { ["k"] = "v" });
        var random = new Random(1);
        for (var i = 0; i < 2000; i++)
        {
            var bytes = stream.ToArray();
            for (var n = random.Next(1, 4); n > 0; n--)
                bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
            try
            {
                using var file = SafetensorsFile.Read(
                    new MemoryStream(bytes, 0, random.Next(4) == 0 ? random.Next(bytes.Length) : bytes.Length));
                foreach (var tensor in file.LoadAll().Values)
                    tensor.Dispose();
            }
            catch (InvalidDataException)
            {
            }
        }
    }

    /// <summary>Spans are limited to 2 GiB. Tensors are not.</summary>
    [TestMethod]
    public void A_tensor_of_more_than_2_GiB_makes_a_round_trip()
    {
        using var scope = NewDisposeScope();
        using var path = new TemporaryFile(".safetensors");
        const long count = (1L << 31) + 5;
        var zero = zeros(count, ScalarType.Byte);
        zero[count - 1] = 7;
        using (var stream = new SparseFile(path.Path))
            Safetensors.Write(stream, [("large", zero)]);
        zero.Dispose();
        using var file = SafetensorsFile.Open(path.Path);
        var loaded = file.Load("large");
        CollectionAssert.AreEqual(new[] { count }, loaded.shape);
        Assert.AreEqual(7, loaded[count - 1].item<byte>());
        Assert.AreEqual(0, loaded[count - 2].item<byte>());
    }

    /// <summary>Truncating a mapped file would end the process.</summary>
    [TestMethod]
    public void A_file_that_is_shrunk_while_it_is_open_is_an_error()
    {
        using var scope = NewDisposeScope();
        using var path = new TemporaryFile(".safetensors");
        using (var stream = File.Create(path.Path))
            Safetensors.Write(stream, [("first", zeros(10)), ("a", ones(1 << 20))]);
        using var shared = new FileStream(path.Path, FileMode.Open, FileAccess.ReadWrite, FileShare.ReadWrite);
        using var file = SafetensorsFile.Read(new FileStream(path.Path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite));
        shared.SetLength(5000);
        StringAssert.Contains(Assert.ThrowsExactly<InvalidDataException>(() => file.Load("a")).Message, "'a'");
        Assert.IsTrue(zeros(10).Equals(file.Load("first")));
    }

    private static byte[] Bytes(string header)
    {
        var json = Encoding.UTF8.GetBytes(header.PadRight(2));
        var bytes = new byte[8 + json.Length + 8];
        BinaryPrimitives.WriteInt64LittleEndian(bytes, json.Length);
        json.CopyTo(bytes, 8);
        return bytes;
    }
}
