using CsCheck;
using Microsoft.ML.Flooding.Images;

namespace Microsoft.ML.Flooding.Tests.Scoring;

/// <summary>Compares the batched cursor with row-by-row scoring, over random data, columns, shuffles, batch sizes and reads.</summary>
[TestClass]
public sealed class CursorPropertyTests
{
    private static readonly int[] BatchSizes = [1, 2, 7, 16, 256];
    private static readonly int[] BrokenEvery = [0, 0, 3, 10];

    // No row is broken before a filter: there, ML.NET reads all columns ahead and fails when its source fails.
    private static readonly Gen<Case> Cases =
        from rows in Gen.Int[0, 90]
        from seed in Gen.Int[0, 1000]
        from columns in Gen.Int[0, 15]
        from shuffle in Gen.Int[-1, 20]
        from batchSize in Gen.Int[0, 4].Select(i => BatchSizes[i])
        from filter in Gen.Bool
        from cursors in Gen.Int[0, 3]
        from brokenEvery in Gen.Int[0, 3].Select(i => BrokenEvery[i])
        select new Case(rows, seed, columns, shuffle < 0 ? null : shuffle, batchSize, filter, cursors, filter ? 0 : brokenEvery);

    [TestMethod]
    public void Batched_cursors_give_what_one_row_after_another_gives()
    {
        var context = new MLContext();
        using var skipping = RandomModel.Create(
            context, Architecture.Mlp.WithHiddenSizes(8), new ImageShape(8, 8, 3), d => d with { OnInvalidImage = OnInvalidImage.Skip });
        using var engine = ConcurrencyTests.CreateEngine(context, skipping);
        var checkedRows = 0;

        Cases.Sample(c => Interlocked.Add(ref checkedRows, Check(context, skipping, engine, c)), iter: 400, threads: 1);

        Assert.IsGreaterThan(5000, checkedRows, "Too few rows to say anything.");
    }

    private static int Check(
        MLContext context, FloodedImageClassificationTransformer model, PredictionEngine<PixelRow, ImagePrediction> engine, Case c)
    {
        var rows = PixelRow.Draw(c.Rows, c.Seed);
        // The data is cached, because ML.NET shuffles only then.
        var source = new BreakableView(context.Data.Cache(context.Data.LoadFromEnumerable(rows)), c.BrokenEvery);
        IDataView data = c.IsFiltered ? context.Data.FilterRowsByColumn(AddKey(context, source), "Half", 0.25, 0.75) : source;
        model.BatchSize = c.BatchSize;
        var view = model.Transform(data);
        var active = view.Schema.Where(column => (column.Name, c.Columns) switch
        {
            ("Id", _) => true,
            ("Name", var bits) => (bits & 1) != 0,
            ("Features", var bits) => (bits & 2) != 0 && c.BrokenEvery == 0,
            ("Score", var bits) => (bits & 4) != 0,
            ("PredictedLabel", var bits) => (bits & 8) != 0,
            _ => false,
        }).ToArray();

        var cursors = c.Cursors == 0
            ? [view.GetRowCursor(active, Shuffle())]
            : view.GetRowCursorSet(active, c.Cursors, Shuffle());
        var actual = cursors.SelectMany(OneRowScorer.ReadAll).ToArray();
        // If scores are requested, one number is drawn: the seed of the two cursors that must agree.
        var isScored = active.Any(column => column.Name is "Score" or "PredictedLabel");
        var order = Shuffle();
        var expected = OneRowScorer.ReadAll(
            data.GetRowCursor([data.Schema["Id"]], isScored && order is not null ? new Random(order.Next()) : order));

        if (c.Cursors > 1)
            CollectionAssert.AreEquivalent(
                expected.Select(row => row.Values["Id"]).ToArray(), actual.Select(row => row.Values["Id"]).ToArray());
        else
            CollectionAssert.AreEqual(
                expected.Select(row => (row.Values["Id"], row.Id, row.Position)).ToArray(),
                actual.Select(row => (row.Values["Id"], row.Id, row.Position)).ToArray());
        foreach (var row in actual)
            AssertRow(rows, engine, c.BrokenEvery, active, row);
        return actual.Length;

        Random? Shuffle() => c.Shuffle is { } seed ? new Random(seed) : null;
    }

    private static void AssertRow(
        PixelRow[] rows, PredictionEngine<PixelRow, ImagePrediction> engine, int brokenEvery, DataViewSchema.Column[] active,
        ScoredRow actual)
    {
        var row = rows[(int)actual.Values["Id"]];
        var isBroken = BreakableView.IsBroken(row.Id, brokenEvery);
        var expected = isBroken
            ? new ImagePrediction { Score = [.. Enumerable.Repeat(float.NaN, RandomModel.Classes)], PredictedLabel = 0 }
            : engine.Predict(row);
        CollectionAssert.AreEquivalent(active.Select(column => column.Name).ToArray(), actual.Values.Keys.ToArray());
        if (actual.Values.TryGetValue("Name", out var name))
            Assert.AreEqual(row.Name, name);
        if (actual.Values.TryGetValue("Features", out var features))
            CollectionAssert.AreEqual(row.Features, (byte[])features);
        if (actual.Values.TryGetValue("Score", out var score))
            OneRowScorer.AssertNear(expected.Score, (float[])score);
        if (actual.Values.TryGetValue("PredictedLabel", out var label) && (isBroken || IsClear(expected.Score)))
            Assert.AreEqual(expected.PredictedLabel, label);
    }

    /// <summary>Whether no other class is so close to the best that rounding decides.</summary>
    private static bool IsClear(float[] scores)
    {
        var sorted = scores.OrderDescending().ToArray();
        return sorted[0] - sorted[1] > 2 * OneRowScorer.Tolerance;
    }

    private static IDataView AddKey(MLContext context, IDataView data) => context.Transforms.CustomMapping<PixelRow, HalfRow>(
        (row, half) => half.Half = row.Id % 4 / 4f, null).Fit(data).Transform(data);

    private sealed record Case(int Rows, int Seed, int Columns, int? Shuffle, int BatchSize, bool IsFiltered, int Cursors, int BrokenEvery);

    public sealed class HalfRow
    {
        public float Half { get; set; }
    }
}
