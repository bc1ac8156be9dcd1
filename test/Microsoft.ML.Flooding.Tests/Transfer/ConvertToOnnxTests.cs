using Microsoft.ML.Data;
using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Tests.Networks;
using Microsoft.ML.Flooding.Tests.Pipeline;
using Microsoft.ML.Flooding.Tests.Scoring;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Tests.Transfer;

/// <summary>Chains with the classifier as Microsoft.ML.OnnxConverter writes them.</summary>
[TestClass]
public sealed class ConvertToOnnxTests
{
    private readonly MLContext _context = new(seed: 1);

    public static IEnumerable<string> Names => ArchitectureTests.SmallNames;

    [TestMethod]
    public void The_chain_of_the_README_gives_the_scores_and_labels_of_the_transformer()
    {
        const int count = 48;
        var rows = FashionMnistData.Rows("train", 300);
        var data = _context.Data.LoadFromEnumerable(rows);
        var options = ShortRun.Options(o => (o.Architecture, o.FitTemperature) = (Architecture.ConvNet.WithBaseWidth(8), true));
        using var model = _context.Transforms.Conversion.MapValueToKey("Label", "Class")
            .Append(_context.Transforms.FloodedImageClassification(options))
            .Append(_context.Transforms.Conversion.MapKeyToValue("Predicted", "PredictedLabel"))
            .Fit(data);
        using var session = Convert(model, data);
        var test = FashionMnistData.Rows("t10k", count);
        using var results = session.Run([
            NamedOnnxValue.CreateFromTensor("Features", new DenseTensor<float>(test.SelectMany(r => r.Features).ToArray(), [count, 784])),
            NamedOnnxValue.CreateFromTensor("Class", new DenseTensor<string>(test.Select(r => r.Class).ToArray(), [count, 1])),
            NamedOnnxValue.CreateFromTensor("Id", new DenseTensor<int>(test.Select(r => r.Id).ToArray(), [count, 1])),
        ]);
        var scored = model.Transform(_context.Data.LoadFromEnumerable(test));
        OneRowScorer.AssertNear(
            scored.GetColumn<float[]>("Score").SelectMany(s => s).ToArray(),
            results.Single(r => r.Name == "Score.output").AsTensor<float>().ToArray());
        CollectionAssert.AreEqual(
            scored.GetColumn<string>("Predicted").ToArray(),
            results.Single(r => r.Name == "Predicted.output").AsTensor<string>().ToArray());
        CollectionAssert.AreEqual(
            scored.GetColumn<uint>("PredictedLabel").ToArray(),
            results.Single(r => r.Name == "PredictedLabel.output").AsTensor<uint>().ToArray());
    }

    [TestMethod]
    [DynamicData(nameof(Names))]
    public void Every_architecture_gives_the_scores_of_the_transformer(string name)
    {
        var shape = new ImageShape(34, 38, 3);
        using var model = RandomModel.Create(_context, Architecture.Parse(name), shape);
        AssertSameScores<byte>(model, new VectorDataViewType(NumberDataViewType.Byte, shape.Height, shape.Width, shape.Channels), shape);
    }

    [TestMethod]
    [DataRow(typeof(byte))]
    [DataRow(typeof(ushort))]
    [DataRow(typeof(uint))]
    [DataRow(typeof(ulong))]
    public void Keys_of_every_type_are_converted(Type key)
    {
        var shape = new ImageShape(8, 8, 1);
        using var model = RandomModel.Create(
            _context, Architecture.Mlp.WithHiddenSizes(6), shape, d => d with { Labels = d.Labels with { RawType = key.Name } });
        AssertSameScores<float>(model, new VectorDataViewType(NumberDataViewType.Single, shape.Length), shape);
    }

    [TestMethod]
    public void Two_classifiers_and_columns_with_their_names_go_together()
    {
        var shape = new ImageShape(8, 8, 1);
        using var first = RandomModel.Create(_context, Architecture.Mlp.WithHiddenSizes(6), shape);
        using var second = RandomModel.Create(_context, Architecture.Mlp.WithHiddenSizes(7), shape,
            d => d with { FeatureColumn = "weight_0", ScoreColumn = "MatMul_4", PredictedLabelColumn = "probabilities" });
        var chain = _context.Transforms.CopyColumns("weight_0", "Features")
            .Fit(Rows<float>(Single(shape), shape, 1)).Append(first).Append(second);
        var data = Rows<float>(Single(shape), shape, 5);
        using var session = Convert(chain, data);
        using var results = session.Run([Input<float>(session, data)]);
        var scored = chain.Transform(data);
        foreach (var column in new[] { "Score", "MatMul_4" })
            OneRowScorer.AssertNear(
                scored.GetColumn<float[]>(column).SelectMany(s => s).ToArray(),
                results.Single(r => r.Name == column + ".output").AsTensor<float>().ToArray());
    }

    [TestMethod]
    public void Images_that_ONNX_cannot_read_are_an_error_that_names_SaveAsOnnx()
    {
        using var model = RandomModel.Create(_context, Architecture.Mlp.WithHiddenSizes(6), new ImageShape(8, 8, 3));
        var encoded = _context.Data.LoadFromEnumerable([new Encoded()]);
        var bitmaps = _context.Data.LoadFromEnumerable([new Bitmap()]);
        var hidden = _context.Transforms.Conversion.MapKeyToValue("Predicted", "PredictedLabel");
        foreach (var data in new[] { encoded, bitmaps })
        {
            var chain = new TransformerChain<ITransformer>(model, hidden.Fit(model.Transform(data)));
            foreach (var transformer in new ITransformer[] { model, chain })
                StringAssert.Contains(Assert.Throws<NotSupportedException>(() => Convert(transformer, data)).Message, "SaveAsOnnx");
        }
    }

    [TestMethod]
    public void Pixels_from_a_transformer_that_cannot_be_converted_are_an_error_that_names_SaveAsOnnx()
    {
        var shape = new ImageShape(8, 8, 3);
        var data = _context.Data.LoadFromEnumerable(
            [new Bitmap { Source = MLImage.CreateFromPixels(8, 8, MLPixelFormat.Rgba32, new byte[8 * 8 * 4]) }]);
        using var model = RandomModel.Create(_context, Architecture.Mlp.WithHiddenSizes(6), shape);
        using var chain = _context.Transforms.ExtractPixels("Features", "Source", interleavePixelColors: true).Fit(data).Append(model);
        StringAssert.Contains(Assert.Throws<NotSupportedException>(() => Convert(chain, data)).Message, "SaveAsOnnx");
    }

    /// <summary>The converter would take the first column of that name, whose values are not those that the classifier reads.</summary>
    [TestMethod]
    public void Pixels_that_are_changed_before_a_transformer_that_cannot_be_converted_are_an_error_that_names_SaveAsOnnx()
    {
        var shape = new ImageShape(8, 8, 1);
        var data = Rows<float>(Single(shape), shape, 3);
        using var model = RandomModel.Create(_context, Architecture.Mlp.WithHiddenSizes(6), shape);
        var mapping = _context.Transforms.CustomMapping<Empty, Named>((_, row) => row.Name = "x", null);
        using var unchanged = mapping.Fit(data).Append(model);
        using var session = Convert(unchanged, data, "Score");
        using var results = session.Run([Input<float>(session, data)]);
        OneRowScorer.AssertNear(
            model.Transform(data).GetColumn<float[]>("Score").SelectMany(s => s).ToArray(),
            results.Single(r => r.Name == "Score.output").AsTensor<float>().ToArray());
        using var changed = _context.Transforms.NormalizeMinMax("Features").Append(mapping).Fit(data).Append(model);
        StringAssert.Contains(Assert.Throws<NotSupportedException>(() => Convert(changed, data, "Score")).Message, "SaveAsOnnx");
    }

    [TestMethod]
    public void Networks_of_unknown_layers_are_refused()
    {
        var architecture = Architecture.FromFactory(
            "convert", (classes, channels) => nn.Sequential(nn.Flatten(), nn.Linear(64 * channels, classes)));
        using var model = RandomModel.Create(_context, architecture, new ImageShape(8, 8, 1));
        var data = Rows<float>(Single(new(8, 8, 1)), new(8, 8, 1), 1);
        StringAssert.Contains(Assert.Throws<NotSupportedException>(() => Convert(model, data)).Message, "factory:convert");
    }

    [TestMethod]
    public void An_opset_that_is_too_old_is_refused()
    {
        var shape = new ImageShape(8, 8, 1);
        using var model = RandomModel.Create(_context, Architecture.Mlp.WithHiddenSizes(6), shape);
        var data = Rows<float>(Single(shape), shape, 2);
        StringAssert.Contains(
            Assert.Throws<ArgumentOutOfRangeException>(() => _context.Model.ConvertToOnnx(model, data, 10, Stream.Null)).Message,
            nameof(FloodedImageClassificationTransformer));
        using var file = new MemoryStream();
        _context.Model.ConvertToOnnx(model, data, 11, file);
        using var session = new InferenceSession(file.ToArray());
        Assert.HasCount(1, session.InputNames);
    }

    private static VectorDataViewType Single(ImageShape shape) => new(NumberDataViewType.Single, shape.Length);

    private void AssertSameScores<T>(
        FloodedImageClassificationTransformer model, VectorDataViewType type, ImageShape shape) where T : unmanaged
    {
        foreach (var count in new[] { 1, 3 })
        {
            var data = Rows<T>(type, shape, count);
            using var session = Convert(model, data);
            using var results = session.Run([Input<T>(session, data)]);
            OneRowScorer.AssertNear(
                model.Transform(data).GetColumn<float[]>("Score").SelectMany(s => s).ToArray(),
                results.Single(r => r.Name == "Score.output").AsTensor<float>().ToArray());
        }
    }

    private IDataView Rows<T>(VectorDataViewType type, ImageShape shape, int count) where T : unmanaged
    {
        var random = new Random(3);
        var definition = SchemaDefinition.Create(typeof(Pixels<T>));
        definition[nameof(Pixels<T>.Features)].ColumnType = type;
        var rows = Enumerable.Range(0, count).Select(_ => new Pixels<T>
        {
            Features = [.. Enumerable.Range(0, shape.Length).Select(_ => (T)System.Convert.ChangeType(random.Next(256), typeof(T), null))],
        }).ToArray();
        return _context.Data.LoadFromEnumerable(rows, definition);
    }

    private static NamedOnnxValue Input<T>(InferenceSession session, IDataView data) where T : unmanaged
    {
        var values = data.GetColumn<T[]>("Features").ToArray();
        var shape = session.InputMetadata["Features"].Dimensions;
        return NamedOnnxValue.CreateFromTensor(
            "Features", new DenseTensor<T>(values.SelectMany(v => v).ToArray(), [values.Length, .. shape[1..]]));
    }

    private InferenceSession Convert(ITransformer model, IDataView data, params string[] outputs)
    {
        using var file = new MemoryStream();
        if (outputs.Length > 0)
            _context.Model.ConvertToOnnx(model, data, file, outputs);
        else
            _context.Model.ConvertToOnnx(model, data, file);
        return new InferenceSession(file.ToArray());
    }

    private sealed class Pixels<T>
    {
        public T[] Features { get; set; } = [];
    }

    private sealed class Encoded
    {
        public byte[] Features { get; set; } = [];
    }

    private sealed class Empty;

    private sealed class Named
    {
        public string Name { get; set; } = "";
    }

    private sealed class Bitmap
    {
        [Microsoft.ML.Transforms.Image.ImageType(8, 8)]
        public MLImage? Features { get; set; }

        [Microsoft.ML.Transforms.Image.ImageType(8, 8)]
        public MLImage? Source { get; set; }
    }
}
