using static Microsoft.ML.Flooding.Tests.DataSets.MatWriter;
using static Microsoft.ML.Flooding.Tests.Images.TestImages;

namespace Microsoft.ML.Flooding.Tests.DataSets;

/// <summary>The cropped digits of SVHN, from MATLAB 5 files.</summary>
[TestClass]
public sealed class SvhnTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    private string Path1 => Path.Combine(_folder, "train_32x32.mat");

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [TestMethod]
    [DataRow(true, false, true)]
    [DataRow(true, true, false)]
    [DataRow(false, false, false)]
    [DataRow(false, true, true)]
    public void Images_are_upright_and_ten_is_zero(bool isCompressed, bool isBigEndian, bool doubles)
    {
        var writer = new MatWriter(isBigEndian);
        var values = Pixels(3);
        var x = writer.Array("X", [32, 32, 3, 3], UInt8, values);
        var y = doubles
            ? writer.Array("y", [3, 1], MatWriter.Double, writer.Doubles(1, 10, 9), DoubleClass)
            : writer.Array("y", [3, 1], UInt8, [1, 10, 9], DoubleClass);
        var other = writer.Array("comment", [1, 9], UInt8, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
        writer.Header();
        foreach (var element in new[] { other, x, y })
            writer.Add(isCompressed ? writer.Compress(element) : element);
        File.WriteAllBytes(Path1, writer.ToArray());

        var rows = Rows.Of(Context.Data.LoadFromSvhn(_folder));
        Assert.AreEqual("1, 0, 9", string.Join(", ", rows.Select(row => row.Label)));
        for (var image = 0; image < 3; image++)
        {
            // MATLAB stores X(row, column, channel, image) with the row as the fastest index.
            for (var i = 0; i < 3072; i++)
            {
                var (row, column, channel) = (i / 3 / 32, i / 3 % 32, i % 3);
                Assert.AreEqual(values[row + (32 * (column + (32 * (channel + (3 * image)))))], rows[image].Pixels[i]);
            }
        }
    }

    [TestMethod]
    public void One_image_has_three_dimensions()
    {
        var writer = new MatWriter();
        Write(writer.Array("X", [32, 32, 3], UInt8, Pixels(1)), writer.Array("y", [1, 1], UInt8, [4]));
        Assert.AreEqual("4", Rows.Of(Context.Data.LoadFromSvhn(_folder)).Single().Label);
    }

    [TestMethod]
    public void Broken_files_are_errors_that_name_file_and_offset()
    {
        var writer = new MatWriter();
        var x = writer.Array("X", [32, 32, 3, 2], UInt8, Pixels(2));
        var y = writer.Array("y", [2, 1], UInt8, [1, 2]);
        var good = new MatWriter().Header().Add(writer.Compress(x)).Add(writer.Compress(y)).ToArray();

        Fails([], "offset 0: the file is truncated");
        Fails([.. good[..126], .. "xx"u8, .. good[128..]], "offset 126");
        Fails(good[..^5], "truncated");
        Fails(good[..132], "offset 132: the file is truncated");
        Fails(good[..1000], "offset 1000: the file is truncated");
        Fails([.. good[..200], .. Enumerable.Repeat((byte)0xff, 500), .. good[700..]], "compressed element at offset 136");
        Fails([.. good[..128], 99, 0, 0, 0, 8, 0, 0, 0, .. new byte[8]], "offset 128: the element has the type 99");
        Fails(File(x), "no array 'y'");
        Fails(File(x, writer.Array("y", [3, 1], UInt8, [1, 2, 3])), "X has 2 images, but y has 3 x 1");
        Fails(File(x, writer.Array("y", [2, 1], UInt8, [1, 11])), "label 1 of y is 11");
        Fails(File(x, writer.Array("y", [2, 1], UInt8, [0, 1])), "label 0 of y is 0");
        Fails(File(x, writer.Array("y", [5, 1], UInt8, [1, 2])), "'y' has 2 bytes");
        Fails(File(writer.Array("X", [32, 32, 3, 2], MatWriter.Double, writer.Doubles(new double[6144])), y), "X must be bytes");
        Fails(File(writer.Array("X", [28, 28, 3, 2], UInt8, new byte[4704]), y), "28 x 28 x 3 x 2");
        Fails(File(writer.Array("X", [0, -1], UInt8, []), y), "invalid dimensions");
        Fails(File(writer.Array("X", [1, 1], UInt8, [1], CellClass), y), "array of real numbers");

        void Fails(byte[] content, string reason)
        {
            System.IO.File.WriteAllBytes(Path1, content);
            var e = Assert.ThrowsExactly<InvalidDataException>(() => Context.Data.LoadFromSvhn(_folder), reason);
            StringAssert.Contains(e.Message, Path1);
            StringAssert.Contains(e.Message, reason);
        }

        byte[] File(params byte[][] elements)
        {
            var file = new MatWriter().Header();
            foreach (var element in elements)
                file.Add(element);
            return file.ToArray();
        }
    }

    [TestMethod]
    public void A_missing_file_is_named() => StringAssert.Contains(
        Assert.ThrowsExactly<FileNotFoundException>(() => Context.Data.LoadFromSvhn(_folder)).Message, Path1);

    private static byte[] Pixels(int count)
    {
        var values = new byte[count * 3072];
        new Random(1).NextBytes(values);
        return values;
    }

    private void Write(params byte[][] elements)
    {
        var file = new MatWriter().Header();
        foreach (var element in elements)
            file.Add(element);
        File.WriteAllBytes(Path1, file.ToArray());
    }
}
