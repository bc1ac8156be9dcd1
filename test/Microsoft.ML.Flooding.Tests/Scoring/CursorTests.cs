using Microsoft.ML.Data;
using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Scoring;

namespace Microsoft.ML.Flooding.Tests.Scoring;

[TestClass]
public sealed class CursorTests
{
    private readonly MLContext _context = new();

    [TestMethod]
    public void Nothing_is_read_ahead_when_no_scored_column_is_active()
    {
        using var model = CreateModel();
        var source = CreateView();
        var view = model.Transform(source);

        Assert.HasCount(1000, view.GetColumn<int>("Id").ToArray());

        Assert.AreEqual(0, source.FeaturesRead);
        Assert.AreEqual(0, source.OpenCursors);
    }

    [TestMethod]
    public void Nothing_is_read_before_the_first_row_is_asked_for_and_little_beyond_it()
    {
        using var model = CreateModel();
        var source = CreateView();
        model.BatchSize = 16;
        var view = model.Transform(source);
        using (var cursor = view.GetRowCursor([view.Schema["Score"]]))
        {
            Assert.AreEqual(0, source.FeaturesRead);
            Assert.IsTrue(cursor.MoveNext());
            Thread.Sleep(100);
            Assert.IsLessThanOrEqualTo(8 + 16 + 16, source.FeaturesRead);
        }
        Assert.AreEqual(0, source.OpenCursors);
    }

    [TestMethod]
    public void Early_disposal_stops_the_background()
    {
        using var model = CreateModel();
        var source = CreateView();
        var view = model.Transform(source);
        for (var taken = 0; taken < 30; taken++)
        {
            using var cursor = view.GetRowCursor(view.Schema);
            for (var i = 0; i < taken; i++)
                Assert.IsTrue(cursor.MoveNext());
        }

        Assert.AreEqual(0, source.OpenCursors);
        var read = source.FeaturesRead;
        Thread.Sleep(100);
        Assert.AreEqual(read, source.FeaturesRead);
    }

    [TestMethod]
    [DataRow(1)]
    [DataRow(5)]
    [DataRow(64)]
    public void A_broken_row_is_named_when_its_turn_comes_and_the_rows_before_it_are_served(int batchSize)
    {
        using var model = CreateModel();
        var source = new BreakableView(_context.Data.LoadFromEnumerable(PixelRow.Draw(100)), brokenEvery: 38);
        model.BatchSize = batchSize;
        var view = model.Transform(source);
        using var cursor = view.GetRowCursor([view.Schema["Score"]]);
        for (var i = 0; i < 37; i++)
            Assert.IsTrue(cursor.MoveNext());

        var error = Assert.ThrowsExactly<InvalidOperationException>(() => cursor.MoveNext());
        var again = Assert.ThrowsExactly<InvalidOperationException>(() => cursor.MoveNext());

        StringAssert.Contains(error.Message, "'Features', row 37 (Name = 'row 37')", StringComparison.Ordinal);
        StringAssert.Contains(error.Message, "broken on purpose", StringComparison.Ordinal);
        Assert.AreEqual(error.Message, again.Message);
    }

    [TestMethod]
    public void A_broken_row_is_named_in_shuffled_rows_too()
    {
        using var model = CreateModel();
        var source = new BreakableView(_context.Data.Cache(_context.Data.LoadFromEnumerable(PixelRow.Draw(100))), brokenEvery: 100);
        var view = model.Transform(source);
        var error = Assert.ThrowsExactly<InvalidOperationException>(() =>
        {
            using var cursor = view.GetRowCursor([view.Schema["Score"]], new Random(5));
            while (cursor.MoveNext())
            {
            }
        });

        StringAssert.Contains(error.Message, "of the shuffled rows (Name = 'row 99')", StringComparison.Ordinal);
    }

    [TestMethod]
    public void A_broken_row_whose_texts_cannot_be_read_is_named_all_the_same()
    {
        using var model = CreateModel();
        var source = new BreakableView(_context.Data.LoadFromEnumerable(PixelRow.Draw(20)), brokenEvery: 5, textsFail: true);
        var view = model.Transform(source);
        using (var cursor = view.GetRowCursor([view.Schema["Score"]]))
        {
            for (var i = 0; i < 4; i++)
                Assert.IsTrue(cursor.MoveNext());
            StringAssert.Contains(
                Assert.ThrowsExactly<InvalidOperationException>(() => cursor.MoveNext()).Message,
                "'Features', row 4: the image", StringComparison.Ordinal);
        }

        Assert.AreEqual(0, source.OpenCursors);
    }

    [TestMethod]
    public void Whatever_goes_wrong_in_the_background_is_thrown_once_and_leaves_no_cursor_open()
    {
        var source = new BreakableView(_context.Data.LoadFromEnumerable(PixelRow.Draw(20)), brokenEvery: 5);
        var column = new ImageColumn("Features", new ImageShape(8, 8, 3));
        var reader = new ImageReader(
            source.GetRowCursor([source.Schema["Features"]]), column, () => new ImageRows(column, source.Schema["Features"].Type, 2, 4), 4,
            (row, _) => throw new IOException($"No name for row {row}."));
        Assert.IsNull(reader.Take().Failure);
        var rows = reader.Take();
        Assert.IsInstanceOfType<IOException>(rows.Failure);
        Assert.AreEqual(0, rows.Count);
        reader.Dispose();

        Assert.AreEqual(0, source.OpenCursors);
    }

    [TestMethod]
    public void A_batch_of_large_bitmaps_ends_early()
    {
        const int Side = 4096;
        var column = new ImageColumn("Features", new ImageShape(8, 8, 3));
        using var image = MLImage.CreateFromPixels(Side, Side, MLPixelFormat.Rgba32, new byte[Side * Side * 4]);
        var data = Images.TestImages.BitmapView(Enumerable.Repeat(image, 8));
        using var reader = new ImageReader(
            data.GetRowCursor([data.Schema["Features"]]), column, () => new ImageRows(column, data.Schema["Features"].Type, 2, 8), 8, null);
        Assert.AreEqual(2, reader.Take().Count, "64 MiB an image, 128 MiB a batch");
    }

    [TestMethod]
    public void A_source_that_fails_fails_the_cursor_as_it_would_by_itself()
    {
        using var model = CreateModel();
        var view = model.Transform(new BreakableView(_context.Data.LoadFromEnumerable(PixelRow.Draw(100)), 0, endsAt: 50));
        using var cursor = view.GetRowCursor([view.Schema["Score"]]);
        for (var i = 0; i < 50; i++)
            Assert.IsTrue(cursor.MoveNext());

        Assert.ThrowsExactly<IOException>(() => cursor.MoveNext());
    }

    [TestMethod]
    public void A_source_that_gives_other_rows_each_time_is_refused()
    {
        using var model = CreateModel();
        var view = model.Transform(new ReshuffledView(_context.Data.Cache(_context.Data.LoadFromEnumerable(PixelRow.Draw(100)))));

        var error = Assert.ThrowsExactly<InvalidOperationException>(() => _ = view.GetColumn<float[]>("Score").Count());

        StringAssert.Contains(error.Message, "mlContext.Data.Cache", StringComparison.Ordinal);
    }

    [TestMethod]
    public void Evaluation_shuffling_and_caching_work_on_scored_rows()
    {
        using var model = CreateModel();
        var view = model.Transform(_context.Data.LoadFromEnumerable(PixelRow.Draw(300)));
        var scores = view.GetColumn<float[]>("Score").ToArray();

        var shuffled = _context.Data.CreateEnumerable<ImagePrediction>(_context.Data.ShuffleRows(view, seed: 3), false).ToArray();
        var cached = _context.Data.Cache(view).GetColumn<float[]>("Score").ToArray();

        CollectionAssert.AreNotEqual(Enumerable.Range(0, 300).ToArray(), shuffled.Select(row => row.Id).ToArray());
        foreach (var row in shuffled)
            OneRowScorer.AssertNear(scores[row.Id], row.Score);
        for (var i = 0; i < scores.Length; i++)
            OneRowScorer.AssertNear(scores[i], cached[i]);
    }

    private FloodedImageClassificationTransformer CreateModel() =>
        RandomModel.Create(_context, Architecture.Mlp.WithHiddenSizes(8), new ImageShape(8, 8, 3));

    /// <summary>A different order for every cursor.</summary>
    private sealed class ReshuffledView(IDataView source) : IDataView
    {
        private int _cursors;

        public bool CanShuffle => false;

        public DataViewSchema Schema => source.Schema;

        public long? GetRowCount() => source.GetRowCount();

        public DataViewRowCursor GetRowCursor(IEnumerable<DataViewSchema.Column> columnsNeeded, Random? rand = null) =>
            source.GetRowCursor(columnsNeeded, new Random(_cursors++));

        public DataViewRowCursor[] GetRowCursorSet(IEnumerable<DataViewSchema.Column> columnsNeeded, int n, Random? rand = null) =>
            [GetRowCursor(columnsNeeded, rand)];
    }

    private BreakableView CreateView() => new(_context.Data.LoadFromEnumerable(PixelRow.Draw(1000)), 0);
}
