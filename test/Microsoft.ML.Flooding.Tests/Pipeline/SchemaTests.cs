using System.Reflection;
using Microsoft.ML.Data;
using Microsoft.ML.Transforms;

namespace Microsoft.ML.Flooding.Tests.Pipeline;

/// <summary>The schemas of the estimator, of the transformer and of the output agree, for every kind of label.</summary>
[TestClass]
public sealed class SchemaTests
{
    private readonly MLContext _context = new(seed: 1);

    public static IEnumerable<object[]> Labels =>
        from type in new[] { DataKind.Byte, DataKind.UInt16, DataKind.UInt32, DataKind.UInt64 }
        from values in new[] { nameof(Row.Text), nameof(Row.Number), nameof(Row.Float), nameof(Row.Flag), nameof(Row.Key) }
        select new object[] { type, values };

    [TestMethod]
    [DynamicData(nameof(Labels))]
    public void The_schema_is_promised_and_kept_for_keys_of(DataKind type, string values)
    {
        var data = Data(type, values);
        var trainer = _context.Transforms.FloodedImageClassification(ShortRun.Options());
        using var model = trainer.Fit(data);
        var scored = model.Transform(data);

        Assert.AreEqual(Describe(ShapeOf(scored.Schema)), Describe(trainer.GetOutputSchema(ShapeOf(data.Schema))));
        AssertSame(scored.Schema, model.GetOutputSchema(data.Schema));
        AssertSame(scored.Schema, ((ITransformer)model).GetRowToRowMapper(data.Schema).OutputSchema);
        AssertSame(scored.Schema, SavedModel.Load(SavedModel.Save(_context, model, data.Schema)).Transform(data).Schema);
        Assert.AreEqual(data.Schema["Label"].Type, scored.Schema["PredictedLabel"].Type);
    }

    [TestMethod]
    [DynamicData(nameof(Labels))]
    public void The_predicted_label_has_the_labels_values_for_keys_of(DataKind type, string values)
    {
        var data = Data(type, values);
        using var model = ShortRun.Fit(_context, data);
        var scored = model.Transform(data);
        var expected = values == nameof(Row.Key) ? ["1", "2"] : KeyValues(data.Schema["Label"]);

        CollectionAssert.AreEqual(expected, model.Labels.ToArray());
        Assert.HasCount(20, scored.GetColumn<float[]>("Score").ToArray());
        if (values == nameof(Row.Key))
        {
            Assert.IsFalse(scored.Schema["Score"].HasSlotNames());
            Assert.IsFalse(scored.Schema["PredictedLabel"].HasKeyValues());
            return;
        }
        var slots = default(VBuffer<ReadOnlyMemory<char>>);
        scored.Schema["Score"].GetSlotNames(ref slots);
        CollectionAssert.AreEqual(expected, slots.DenseValues().Select(v => v.ToString()).ToArray());
        CollectionAssert.AreEqual(expected, KeyValues(scored.Schema["PredictedLabel"]));
        var mapped = _context.Transforms.Conversion.MapKeyToValue("Value", "PredictedLabel").Fit(scored).Transform(scored);
        Assert.AreEqual(data.Schema[values].Type, mapped.Schema["Value"].Type);
    }

    [TestMethod]
    public void Columns_may_have_any_name()
    {
        var data = _context.Transforms.CopyColumns("Picture", "Features").Append(_context.Transforms.CopyColumns("Truth", "Label"))
            .Append(_context.Transforms.DropColumns("Features", "Label"))
            .Fit(Data(DataKind.UInt32, nameof(Row.Text))).Transform(Data(DataKind.UInt32, nameof(Row.Text)));
        var trainer = _context.MulticlassClassification.Trainers.FloodedImageClassification(ShortRun.Options(o =>
            (o.FeatureColumnName, o.LabelColumnName, o.ScoreColumnName, o.PredictedLabelColumnName)
            = ("Picture", "Truth", "Odds", "Guess")));
        using var model = trainer.Fit(data);
        var scored = model.Transform(data);

        Assert.AreEqual(Describe(ShapeOf(scored.Schema)), Describe(trainer.GetOutputSchema(ShapeOf(data.Schema))));
        Assert.IsNull(scored.Schema.GetColumnOrNull("Score"));
        var metrics = _context.MulticlassClassification.Evaluate(scored, "Truth", "Odds", "Guess");
        Assert.IsTrue(double.IsFinite(metrics.LogLoss));
    }

    [TestMethod]
    public void Existing_columns_of_the_outputs_names_are_hidden_by_them()
    {
        var data = Data(DataKind.UInt32, nameof(Row.Text));
        var withScore = _context.Transforms.CopyColumns("Score", "Number").Fit(data).Transform(data);
        var trainer = _context.Transforms.FloodedImageClassification(ShortRun.Options());
        using var model = trainer.Fit(withScore);
        var scored = model.Transform(withScore);

        Assert.AreEqual(Describe(ShapeOf(scored.Schema)), Describe(trainer.GetOutputSchema(ShapeOf(withScore.Schema))));
        Assert.HasCount(2, scored.GetColumn<float[]>("Score").First());
    }

    [TestMethod]
    public void A_column_of_another_type_is_not_handed_out()
    {
        var data = Data(DataKind.Byte, nameof(Row.Text));
        using var model = ShortRun.Fit(_context, data);
        var scored = model.Transform(data);
        using var cursor = scored.GetRowCursor(scored.Schema);
        cursor.GetGetter<byte>(scored.Schema["PredictedLabel"]);
        Assert.Throws<InvalidOperationException>(() => cursor.GetGetter<uint>(scored.Schema["PredictedLabel"]));
        Assert.Throws<InvalidOperationException>(() => cursor.GetGetter<float>(scored.Schema["Score"]));
    }

    private IDataView Data(DataKind type, string values)
    {
        var rows = _context.Data.LoadFromEnumerable(Enumerable.Range(0, 20).Select(i => new Row
        {
            Features = [i, 20 - i, i * i, 3],
            Text = i < 10 ? "low" : "high",
            Number = i < 10 ? -1 : 70_000,
            Float = i < 10 ? 0.5f : 1e-7f,
            Flag = i < 10,
            Key = i < 10 ? 0u : 1u, // ML.NET counts the keys of C# objects from 0
        }));
        var labelled = values == nameof(Row.Key)
            ? (IEstimator<ITransformer>)_context.Transforms.CopyColumns("Label", values)
            : _context.Transforms.Conversion.MapValueToKey(
                "Label", values, keyOrdinality: ValueToKeyMappingEstimator.KeyOrdinality.ByValue);
        return labelled.Append(_context.Transforms.Conversion.ConvertType("Label", outputKind: type)).Fit(rows).Transform(rows);
    }

    private static string[] KeyValues(DataViewSchema.Column column)
    {
        return column.Annotations.Schema["KeyValues"].Type switch
        {
            VectorDataViewType { ItemType: TextDataViewType } => Read<ReadOnlyMemory<char>>(),
            VectorDataViewType { ItemType: BooleanDataViewType } => Read<bool>(),
            VectorDataViewType { ItemType: var item } when item == NumberDataViewType.Int32 => Read<int>(),
            _ => Read<float>(),
        };

        string[] Read<T>()
        {
            var values = default(VBuffer<T>);
            column.GetKeyValues(ref values);
            return [.. values.DenseValues().Select(v => FormattableString.Invariant($"{v}"))];
        }
    }

    /// <summary>ML.NET's internal conversion, with which it chains estimators.</summary>
    private static SchemaShape ShapeOf(DataViewSchema schema) => (SchemaShape)typeof(SchemaShape)
        .GetMethod("Create", BindingFlags.Static | BindingFlags.NonPublic)!.Invoke(null, [schema])!;

    private static string Describe(SchemaShape shape) => string.Join('\n', shape.OrderBy(c => c.Name, StringComparer.Ordinal)
        .Select(c => $"{c.Name}: {c.Kind} {c.ItemType} key {c.IsKey} [{Describe(c.Annotations).ReplaceLineEndings("; ")}]"));

    private static void AssertSame(DataViewSchema expected, DataViewSchema actual) =>
        CollectionAssert.AreEqual(Lines(expected), Lines(actual));

    private static string[] Lines(DataViewSchema schema) => [.. schema.Select(c =>
        $"{c.Name}: {c.Type} hidden {c.IsHidden} [{string.Join("; ", c.Annotations.Schema.Select(a => $"{a.Name}: {a.Type}"))}]")];

    private sealed class Row
    {
        [VectorType(4)]
        public float[] Features { get; set; } = [];

        public string Text { get; set; } = "";

        public int Number { get; set; }

        public float Float { get; set; }

        public bool Flag { get; set; }

        [KeyType(2)]
        public uint Key { get; set; }
    }
}
