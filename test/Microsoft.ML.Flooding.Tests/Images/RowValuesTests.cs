using Microsoft.ML.Flooding.Images;
using static Microsoft.ML.Flooding.Tests.Images.TestImages;

namespace Microsoft.ML.Flooding.Tests.Images;

/// <summary>Weights and sampling keys are read with their images.</summary>
[TestClass]
public sealed class RowValuesTests
{
    private const int Count = 200;

    [TestMethod]
    [DataRow("memory")]
    [DataRow("file")]
    [DataRow("streamed")]
    public void Weights_and_groups_stay_with_their_images_whatever_the_store(string store)
    {
        var files = Enumerable.Range(0, Count).Select(i => i % 10 == 3 ? [] : Png(Rgb(4, 4, i), 4, 4)).ToArray();
        var options = new ImageSetOptions
        {
            WeightColumn = "Weight",
            SamplingKeyColumn = "Object",
            OnInvalidImage = OnInvalidImage.Skip,
            MaxCacheBytes = store == "memory" ? null : 500,
            UseDisk = store == "file",
        };
        using var set = ImageSetTests.Load(View(files), options);

        Assert.AreEqual(store, set switch { MemoryImageSet => "memory", FileImageSet => "file", _ => "streamed" });
        int[] kept = [.. Enumerable.Range(0, Count).Where(i => i % 10 != 3)];
        CollectionAssert.AreEqual(kept.Select(i => i / 8f).ToArray(), set.Weights!.data<float>().ToArray());
        var groups = set.Groups!.data<long>().ToArray();
        CollectionAssert.AreEqual(
            kept.Select(i => Array.IndexOf(kept.Select(k => k / 7).ToArray(), i / 7)).ToArray(),
            groups.Select(g => Array.IndexOf(groups, g)).ToArray());
    }

    [TestMethod]
    public void What_is_not_asked_for_is_not_there()
    {
        using var set = ImageSetTests.Load(View([Png(Rgb(4, 4), 4, 4)]));
        Assert.IsNull(set.Weights);
        Assert.IsNull(set.Groups);
    }

    [TestMethod]
    [DataRow("Object")]
    [DataRow("Number")]
    [DataRow("Precise")]
    [DataRow("Flag")]
    [DataRow("Key")]
    [DataRow("Vector")]
    public void A_sampling_key_is_of_any_type(string column)
    {
        var data = View([.. Enumerable.Range(0, 40).Select(i => Png(Rgb(4, 4, i), 4, 4))]);
        data = Context.Transforms.Conversion.MapValueToKey("Key", "Object")
            .Append(Context.Transforms.Concatenate("Vector", "Number", "Number")).Fit(data).Transform(data);
        using var set = ImageSetTests.Load(data, new ImageSetOptions { SamplingKeyColumn = column });
        var groups = set.Groups!.data<long>().ToArray();
        CollectionAssert.AreEqual(
            Enumerable.Range(0, 40).Select(i => column == "Flag" ? i / 20 * 20 : i / 7 * 7).ToArray(),
            groups.Select(g => Array.IndexOf(groups, g)).ToArray());
    }

    [TestMethod]
    [DataRow(-1f, "-1")]
    [DataRow(float.NaN, "NaN")]
    [DataRow(float.PositiveInfinity, "Infinity")]
    public void A_weight_that_is_none_is_an_error_that_names_column_and_row(float weight, string text)
    {
        var data = View([.. Enumerable.Range(0, 9).Select(i => Png(Rgb(4, 4, i), 4, 4))], (i, w) => i == 5 ? weight : w);
        var error = Assert.ThrowsExactly<InvalidOperationException>(
            () => ImageSetTests.Load(data, new ImageSetOptions { WeightColumn = "Weight" }));
        StringAssert.Contains(error.Message, "Column 'Weight', row 5 (Object = 'object 0')");
        StringAssert.Contains(error.Message, $"the weight is {text}");
    }

    [TestMethod]
    public void Weights_that_are_all_zero_are_an_error()
    {
        var data = View([Png(Rgb(4, 4), 4, 4), Png(Rgb(4, 4), 4, 4)], (_, _) => 0);
        var error = Assert.ThrowsExactly<InvalidOperationException>(
            () => ImageSetTests.Load(data, new ImageSetOptions { WeightColumn = "Weight" }));
        StringAssert.Contains(error.Message, "'Weight': the weight of every row is 0");
    }

    private static IDataView View(byte[][] files, Func<int, float, float>? weight = null)
    {
        var rows = files.Select((file, i) => new Row
        {
            Features = file,
            Class = i % 2,
            Weight = weight?.Invoke(i, i) ?? i / 8f,
            Object = $"object {i / 7}",
            Number = i / 7,
            Precise = i / 7,
            Flag = i >= 20,
        });
        return WithKey(Context.Data.LoadFromEnumerable(rows));
    }

    private sealed class Row
    {
        public byte[] Features { get; set; } = [];

        public int Class { get; set; }

        public float Weight { get; set; }

        public string Object { get; set; } = "";

        public float Number { get; set; }

        public double Precise { get; set; }

        public bool Flag { get; set; }
    }
}
