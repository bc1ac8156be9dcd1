using Microsoft.ML.Data;

namespace Microsoft.ML.Flooding.Tests.Pipeline;

[TestClass]
public sealed class LazinessTests
{
    private const int Count = 100;
    private readonly MLContext _context = new(seed: 1);
    private readonly WatchedView _data;

    public LazinessTests() => _data = new WatchedView(FashionMnistData.Train(_context, Count));

    [TestMethod]
    public void Training_reads_no_other_columns_than_label_and_image()
    {
        using var model = ShortRun.Fit(_context, _data);
        CollectionAssert.AreEquivalent(new[] { "Label", "Features" }, _data.Requested.ToArray());
        Assert.AreEqual(Count, _data.Reads["Features"], "each image is decoded once");
    }

    [TestMethod]
    public void Transform_reads_nothing()
    {
        using var model = ShortRun.Fit(_context, _data);
        _data.Forget();
        var scored = model.Transform(_data);
        Assert.AreEqual(_data.Schema.Count + 2, scored.Schema.Count);
        _ = ((ITransformer)model).GetRowToRowMapper(_data.Schema);
        Assert.AreEqual(0, _data.Cursors);
    }

    [TestMethod]
    public void Columns_passed_through_cost_no_image()
    {
        using var model = ShortRun.Fit(_context, _data);
        _data.Forget();
        Assert.HasCount(Count, model.Transform(_data).GetColumn<int>("Id").ToArray());
        CollectionAssert.AreEquivalent(new[] { "Id" }, _data.Requested.ToArray());
        Assert.AreEqual(Count, _data.Reads["Id"]);
    }

    [TestMethod]
    [DataRow("Score")]
    [DataRow("PredictedLabel")]
    public void A_scored_column_needs_the_image_alone(string column)
    {
        using var model = ShortRun.Fit(_context, _data);
        _data.Forget();
        var scored = model.Transform(_data);
        using (var cursor = scored.GetRowCursor([scored.Schema[column]]))
        {
            Assert.IsTrue(cursor.IsColumnActive(scored.Schema[column]));
            Assert.IsFalse(cursor.IsColumnActive(scored.Schema["Class"]));
            while (cursor.MoveNext())
            {
            }
        }
        CollectionAssert.AreEquivalent(new[] { "Features" }, _data.Requested.ToArray());
    }

    [TestMethod]
    public void Both_scored_columns_come_of_one_reading_of_each_image()
    {
        using var model = ShortRun.Fit(_context, _data);
        _data.Forget();
        var scored = model.Transform(_data);
        using var cursor = scored.GetRowCursor([scored.Schema["Score"], scored.Schema["PredictedLabel"], scored.Schema["Class"]]);
        var score = cursor.GetGetter<VBuffer<float>>(scored.Schema["Score"]);
        var label = cursor.GetGetter<uint>(scored.Schema["PredictedLabel"]);
        var probabilities = default(VBuffer<float>);
        var key = 0u;
        while (cursor.MoveNext())
        {
            score(ref probabilities);
            label(ref key);
            Assert.AreEqual(probabilities.DenseValues().Max(), probabilities.GetItemOrDefault((int)key - 1));
        }
        Assert.AreEqual(Count, _data.Reads["Features"]);
        Assert.IsFalse(_data.Reads.ContainsKey("Class"), "an active column that nobody reads is not read");
    }

    [TestMethod]
    public void A_few_rows_do_not_cost_all_of_them()
    {
        using var model = ShortRun.Fit(_context, _data);
        _data.Forget();
        Assert.HasCount(3, model.Transform(_data).GetColumn<uint>("PredictedLabel").Take(3).ToArray());
        // The batch in progress, and those that are read ahead in the meantime.
        Assert.IsLessThan(Count * 3 / 4, _data.Reads["Features"]);
    }

    [TestMethod]
    public void A_mapper_depends_on_the_image_column_where_scores_are_asked_for()
    {
        using var model = ShortRun.Fit(_context, _data);
        var mapper = ((ITransformer)model).GetRowToRowMapper(_data.Schema);
        var output = mapper.OutputSchema;
        Assert.AreEqual("Features", mapper.GetDependencies([output["Score"]]).Single().Name);
        Assert.AreEqual("Id", mapper.GetDependencies([output["Id"]]).Single().Name);
        CollectionAssert.AreEquivalent(
            new[] { "Id", "Features" }, mapper.GetDependencies([output["Id"], output["PredictedLabel"]]).Select(c => c.Name).ToArray());
    }

    [TestMethod]
    public void A_column_that_was_not_asked_for_is_an_error()
    {
        using var model = ShortRun.Fit(_context, _data);
        var scored = model.Transform(_data);
        using var cursor = scored.GetRowCursor([scored.Schema["Id"]]);
        var error = Assert.Throws<InvalidOperationException>(() => cursor.GetGetter<VBuffer<float>>(scored.Schema["Score"]));
        StringAssert.Contains(error.Message, "Score");
    }
}
