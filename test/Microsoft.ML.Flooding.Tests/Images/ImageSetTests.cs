using Microsoft.ML.Data;
using Microsoft.ML.Flooding.Images;
using static Microsoft.ML.Flooding.Tests.Images.TestImages;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Tests.Images;

[TestClass]
public class ImageSetTests
{
    [TestMethod]
    public void Encoded_images_of_the_target_size_keep_every_pixel()
    {
        var images = Enumerable.Range(0, 50).Select(i => Rgb(20, 10, i)).ToArray();
        using var set = Load(EncodedView(images.Select(rgb => Png(rgb, 20, 10))));

        Assert.AreEqual(new ImageShape(10, 20, 3), set.Shape);
        Assert.AreEqual(50, set.Count);
        Assert.AreEqual(ScalarType.Byte, set.PixelType);
        CollectionAssert.AreEqual(images.SelectMany(rgb => rgb).ToArray(), Pixels(set));
        CollectionAssert.AreEqual(Enumerable.Range(0, 50).Select(i => i % 2L).ToArray(), set.Labels.data<long>().ToArray());
    }

    [TestMethod]
    public void MLImages_of_either_byte_order_give_the_same_pixels_as_files()
    {
        var rgb = Rgb(12, 9);
        var rgba = Rgba(rgb);
        byte[] bgra = [.. rgba.Chunk(4).SelectMany(p => new[] { p[2], p[1], p[0], p[3] })];
        using var first = MLImage.CreateFromPixels(12, 9, MLPixelFormat.Rgba32, rgba);
        using var second = MLImage.CreateFromPixels(12, 9, MLPixelFormat.Bgra32, bgra);
        using var set = Load(BitmapView([first, second]));

        byte[] expected = [.. rgb, .. rgb];
        CollectionAssert.AreEqual(expected, Pixels(set));
        Assert.AreEqual(12, first.Width, "the images belong to the caller and stay usable");
    }

    [TestMethod]
    public void LoadImages_and_LoadRawImageBytes_agree()
    {
        var folder = Directory.CreateTempSubdirectory().FullName;
        try
        {
            for (var i = 0; i < 40; i++)
                File.WriteAllBytes(Path.Combine(folder, $"{i}.png"), Png(Rgb(16, 16, i), 16, 16));
            var paths = WithKey(Context.Data.LoadFromEnumerable(
                Enumerable.Range(0, 40).Select(i => new PathRow { Path = $"{i}.png", Class = i % 3 })));
            using var bitmaps = Load(Context.Transforms.LoadImages("Features", folder, "Path").Fit(paths).Transform(paths));
            using var files = Load(Context.Transforms.LoadRawImageBytes("Features", folder, "Path").Fit(paths).Transform(paths));

            CollectionAssert.AreEqual(Enumerable.Range(0, 40).SelectMany(i => Rgb(16, 16, i)).ToArray(), Pixels(files));
            CollectionAssert.AreEqual(Pixels(files), Pixels(bitmaps));
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    [TestMethod]
    public void Whole_floats_are_kept_as_bytes()
    {
        using var set = Load(FloatView([[0, 1, 2, 255], [4, 5, 6, 7]]));

        Assert.AreEqual(ScalarType.Byte, set.PixelType);
        Assert.AreEqual(new ImageShape(2, 2, 1), set.Shape);
        CollectionAssert.AreEqual(new byte[] { 0, 1, 2, 255, 4, 5, 6, 7 }, Pixels(set));
    }

    [TestMethod]
    [DataRow(0.5f)]
    [DataRow(-1f)]
    [DataRow(256f)]
    public void One_float_that_is_no_byte_widens_the_set(float odd)
    {
        var rows = Enumerable.Range(0, 9).Select(i => new float[] { i, 1, 2, 3 }).ToArray();
        rows[5][2] = odd;
        using var set = Load(FloatView(rows));

        Assert.AreEqual(ScalarType.Float32, set.PixelType);
        CollectionAssert.AreEqual(rows.SelectMany(row => row).ToArray(), Read(set).data<float>().ToArray());
    }

    /// <summary>The first rows show on every core at the same time that the set needs floats.</summary>
    [TestMethod]
    public void Whoever_widens_the_set_all_rows_are_in_it()
    {
        var rows = Enumerable.Range(0, 200).Select(i => new float[] { i + 0.5f, i, -i, 3 }).ToArray();
        var data = FloatView(rows);
        for (var i = 0; i < 300; i++)
        {
            using var set = Load(data);
            CollectionAssert.AreEqual(rows.SelectMany(row => row).ToArray(), Read(set).data<float>().ToArray());
        }
    }

    [TestMethod]
    [DataRow(float.NaN)]
    [DataRow(float.PositiveInfinity)]
    public void Floats_that_are_not_finite_are_an_error_that_names_the_row(float odd)
    {
        var error = Assert.ThrowsExactly<InvalidOperationException>(() => Load(FloatView([[0, 1, 2, 3], [4, 5, odd, 7]])));

        StringAssert.Contains(error.Message, "'Features', row 1");
        StringAssert.Contains(error.Message, "NaN or infinite");
    }

    [TestMethod]
    public void A_broken_file_is_an_error_that_names_row_path_and_remedy()
    {
        var files = Enumerable.Range(0, 30).Select(i => Png(Rgb(8, 8, i), 8, 8)).ToArray();
        files[17] = [1, 2, 3];
        files[23] = [];
        var error = Assert.ThrowsExactly<InvalidOperationException>(() => Load(EncodedView(files)));

        StringAssert.Contains(error.Message, "row 17 (Path = '17.png')");
        StringAssert.Contains(error.Message, "OnInvalidImage");
    }

    [TestMethod]
    public void Skipped_rows_leave_images_and_labels_together()
    {
        var images = Enumerable.Range(0, 30).Select(i => Rgb(8, 8, i)).ToArray();
        var files = images.Select(rgb => Png(rgb, 8, 8)).ToArray();
        files[0] = [];
        files[17] = [1, 2, 3];
        files[29] = files[29][..^30];
        var skipped = new List<long>();
        var options = new ImageSetOptions { OnInvalidImage = OnInvalidImage.Skip, Skipped = image => skipped.Add(image.Row) };
        using var set = Load(EncodedView(files, classes: 30), options);

        CollectionAssert.AreEqual(new long[] { 0, 17, 29 }, skipped);
        long[] kept = [.. Enumerable.Range(0, 30).Select(i => (long)i).Except(skipped)];
        CollectionAssert.AreEqual(kept, set.Labels.data<long>().ToArray());
        CollectionAssert.AreEqual(kept.SelectMany(i => images[i]).ToArray(), Pixels(set));
    }

    [TestMethod]
    public void A_set_of_which_no_image_can_be_read_is_an_error()
    {
        var options = new ImageSetOptions { OnInvalidImage = OnInvalidImage.Skip };
        var column = new ImageColumn("Features", new ImageShape(8, 8, 3));
        var error = Assert.ThrowsExactly<InvalidOperationException>(() => Load(EncodedView([[1], [2]]), options, column));

        StringAssert.Contains(error.Message, "no image can be read");
    }

    [TestMethod]
    public void A_missing_label_is_an_error_that_names_the_row()
    {
        var data = Context.Data.LoadFromEnumerable([new KeyRow { Label = 1 }, new KeyRow { Label = 2 }]);
        var error = Assert.ThrowsExactly<InvalidOperationException>(() => Load(data));

        StringAssert.Contains(error.Message, "'Label', row 1");
        StringAssert.Contains(error.Message, "FilterRowsByMissingValues");
    }

    [TestMethod]
    public void A_label_that_is_no_key_is_an_error()
    {
        var data = Context.Data.LoadFromEnumerable([new PathRow { Path = "" }]);
        var error = Assert.ThrowsExactly<ArgumentException>(() => LabelReader.CreateGetter(data.GetRowCursor(data.Schema), "Class"));

        StringAssert.Contains(error.Message, "MapValueToKey");
    }

    [TestMethod]
    public void Keys_of_every_width_are_labels()
    {
        foreach (var kind in new[] { DataKind.Byte, DataKind.UInt16, DataKind.UInt32, DataKind.UInt64 })
        {
            var data = ByteView([[1, 2, 3, 4], [5, 6, 7, 8], [5, 6, 7, 8]], classes: 3);
            data = Context.Transforms.Conversion.ConvertType("Label", outputKind: kind).Fit(data).Transform(data);
            using var set = Load(data);
            CollectionAssert.AreEqual(new long[] { 0, 1, 2 }, set.Labels.data<long>().ToArray());
        }
    }

    [TestMethod]
    public void No_rows_are_an_error()
    {
        var data = Context.Data.SkipRows(ByteView([[1, 2, 3, 4]]), 1);
        var error = Assert.ThrowsExactly<InvalidOperationException>(() => Load(data));

        StringAssert.Contains(error.Message, "no rows");
    }

    [TestMethod]
    public void Data_that_changes_between_readings_is_an_error()
    {
        var readings = 0;
        IEnumerable<KeyRow> Rows()
        {
            readings++;
            for (var i = 0; i < 4 + readings; i++)
                yield return new KeyRow { Label = 1 };
        }

        var column = new ImageColumn("Features", new ImageShape(2, 2, 1));
        var error = Assert.ThrowsExactly<InvalidOperationException>(() => Load(Context.Data.LoadFromEnumerable(Rows()), column: column));

        StringAssert.Contains(error.Message, "other rows");
    }

    [TestMethod]
    public void Loading_can_be_cancelled()
    {
        var data = EncodedView(Enumerable.Range(0, 300).Select(i => Png(Rgb(8, 8, i), 8, 8)));
        var column = ImageColumn.Create(data.Schema["Features"], null, null, data);
        var calls = 0;
        Assert.ThrowsExactly<OperationCanceledException>(() => ImageSet.Load(
            Context, data, "Features", "Label", column, new(), () => _ = ++calls > 3 ? throw new OperationCanceledException() : 0));
    }

    [TestMethod]
    public void Batches_follow_the_order_and_the_last_one_is_smaller()
    {
        var rows = Enumerable.Range(0, 11).Select(i => new byte[] { (byte)i, 1, 2, 3 }).ToArray();
        using var set = Load(ByteView(rows, classes: 11));
        long[] order = [10, 3, 7, 0, 9];
        using var scope = NewDisposeScope();
        using var batches = set.Read(tensor(order), 2, CPU);
        var seen = new List<long>();
        var sizes = new List<long>();
        while (batches.MoveNext())
        {
            var batch = batches.Current;
            sizes.Add(batch.Rows.shape[0]);
            seen.AddRange(batch.Rows.data<long>());
            CollectionAssert.AreEqual(batch.Rows.data<long>().ToArray(), batch.Labels.data<long>().ToArray());
            CollectionAssert.AreEqual(
                batch.Rows.data<long>().ToArray(),
                batch.Pixels.select(1, 0).select(1, 0).flatten().to(ScalarType.Int64).data<long>().ToArray());
            CollectionAssert.AreEqual(new[] { batch.Rows.shape[0], 2, 2, 1 }, batch.Pixels.shape);
        }

        CollectionAssert.AreEqual(order, seen);
        CollectionAssert.AreEqual(new long[] { 2, 2, 1 }, sizes);
    }

    [TestMethod]
    public void Digests_tell_images_apart_whatever_the_store_and_the_race()
    {
        var images = Enumerable.Range(0, 300).Select(i => Rgb(6, 4, i)).ToArray();
        images[7] = images[200];
        var files = images.Select(rgb => Png(rgb, 6, 4)).ToArray();
        ImageSetOptions[] stores = [new(), new() { MaxCacheBytes = 1 }, new() { MaxCacheBytes = 1000, UseDisk = false }];
        var digests = stores.Select(options => Digests(EncodedView(files), options)).ToArray();

        CollectionAssert.AreEqual(digests[0], digests[1]);
        CollectionAssert.AreEqual(digests[0], digests[2]);
        Assert.AreEqual(digests[0][7], digests[0][200]);
        Assert.HasCount(299, digests[0].Distinct().ToArray());
        files[3] = [];
        CollectionAssert.AreEqual(
            digests[0].Where((_, row) => row != 3).ToArray(), Digests(EncodedView(files), new() { OnInvalidImage = OnInvalidImage.Skip }));

        // The last row converts earlier bytes to floats or not, depending on the race.
        var rows = Enumerable.Range(0, 300).Select(i => new[] { i % 256, 1, 2, i == 299 ? 0.5f : i / 256 }).ToArray();
        var floats = Digests(FloatView(rows), new());
        CollectionAssert.AreEqual(floats, Digests(FloatView(rows), new()));
        CollectionAssert.AreEqual(floats[..299], Digests(FloatView(rows[..299]), new()));
        Assert.HasCount(300, floats.Distinct().ToArray());

        static long[] Digests(IDataView data, ImageSetOptions options)
        {
            using var set = Load(data, options);
            return set.Digests.data<long>().ToArray();
        }
    }

    [TestMethod]
    public void Reading_leaves_no_tensor_behind()
    {
        using var set = Load(ByteView([[1, 2, 3, 4], [5, 6, 7, 8]]));
        using var order = arange(2, ScalarType.Int64);
        var before = LiveTensors.Count();
        using (NewDisposeScope())
        {
            using var batches = set.Read(order, 1, CPU);
            while (batches.MoveNext())
            {
            }
        }

        Assert.AreEqual(before, Tensor.TotalCount);
    }

    [TestMethod]
    public void Statistics_are_those_of_the_rows_in_the_order()
    {
        var images = Enumerable.Range(0, 5).Select(i => Rgb(6, 4, i)).ToArray();
        using var set = Load(EncodedView(images.Select(rgb => Png(rgb, 6, 4))));
        var (mean, std) = set.ChannelStatistics(tensor(new long[] { 4, 1 }));
        for (var c = 0; c < 3; c++)
        {
            double[] values = [.. images[4].Concat(images[1]).Where((_, i) => i % 3 == c).Select(v => (double)v)];
            var average = values.Average();
            Assert.AreEqual((float)average, mean[c].item<float>());
            Assert.AreEqual(Math.Sqrt(values.Average(v => (v - average) * (v - average))), std[c].item<float>(), 1e-5);
        }
    }

    [TestMethod]
    public void Sparse_vectors_are_read_as_dense_ones()
    {
        var data = FloatView([[0, 0, 0, 7], [0, 5, 0, 0]]);
        var mapping = Context.Transforms.CustomMapping<VectorRow, VectorRow>(
            (from, to) => to.Features = new VBuffer<float>(4, 1, [from.Features.GetItemOrDefault(3)], [3]), null);
        using var set = Load(mapping.Fit(data).Transform(data));

        CollectionAssert.AreEqual(new byte[] { 0, 0, 0, 7, 0, 0, 0, 0 }, Pixels(set));
    }

    internal static ImageSet Load(IDataView data, ImageSetOptions? options = null, ImageColumn? column = null) => ImageSet.Load(
        Context, data, "Features", "Label",
        column ?? ImageColumn.Create(data.Schema["Features"], null, null, data), options ?? new(), () => { });

    internal static Tensor Read(ImageSet set)
    {
        using var batches = set.Read(arange(set.Count, ScalarType.Int64), (int)set.Count, CPU);
        Assert.IsTrue(batches.MoveNext());
        return batches.Current.Pixels;
    }

    internal static byte[] Pixels(ImageSet set) => Read(set).data<byte>().ToArray();

    private sealed class PathRow
    {
        public string Path { get; set; } = "";

        public int Class { get; set; }
    }

    private sealed class KeyRow
    {
        [VectorType(4)]
        public byte[] Features { get; set; } = new byte[4];

        [KeyType(2)]
        public uint Label { get; set; }
    }

    private sealed class VectorRow
    {
        [VectorType(4)]
        public VBuffer<float> Features { get; set; }
    }
}
