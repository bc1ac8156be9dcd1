using Microsoft.ML.Data;
using Microsoft.ML.Flooding.Images;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.Transforms.Onnx;

namespace Microsoft.ML.Flooding.Benchmarks;

/// <summary>One network with the ways to score it.</summary>
internal sealed class ServingContest : IDisposable
{
    private readonly MLContext _context = new();
    private readonly List<IDisposable> _owned = [];
    private readonly ImageShape _shape;
    private readonly int _classes;
    private readonly string _file = Path.Combine(Path.GetTempPath(), $"{Guid.NewGuid():N}.onnx");
    private readonly PixelRow[] _pixels;
    private readonly FloatRow[] _floats;
    private readonly OnnxTransformer _applied;

    public ServingContest(Architecture architecture, ImageShape shape, int classes, int batch)
    {
        (_shape, _classes, Batch) = (shape, classes, batch);
        Count = 2 * batch;
        Model = Own(ServingTable.CreateModel(_context, architecture, shape, classes, ScoringEngine.OnnxRuntime));
        LibTorch = Own(Model.WithScoringEngine(ScoringEngine.LibTorch));
        Model.SaveAsOnnx(_file);
        var random = new Random(1);
        _pixels = [.. Enumerable.Range(0, Count).Select(_ =>
        {
            var row = new PixelRow { Features = new byte[shape.Length] };
            random.NextBytes(row.Features);
            return row;
        })];
        _floats = [.. _pixels.Take(batch).Select(row => new FloatRow { Image = Array.ConvertAll(row.Features, value => (float)value) })];
        var sizes = new Dictionary<string, int[]> { ["image"] = [1, shape.Channels, shape.Height, shape.Width] };
        _applied = _context.Transforms.ApplyOnnxModel(
            ["probabilities"], ["image"], _file, sizes, gpuDeviceId: null, fallbackToCpu: false).Fit(Floats());
        Own(_applied);
    }

    /// <summary>Scores with ONNX Runtime.</summary>
    public FloodedImageClassificationTransformer Model { get; }

    /// <summary>The same model, scored with libtorch.</summary>
    public FloodedImageClassificationTransformer LibTorch { get; }

    /// <summary>The images that ONNX Runtime alone gets at a time.</summary>
    public int Batch { get; }

    /// <summary>The images that are scored in one round.</summary>
    public int Count { get; }

    /// <summary>ONNX Runtime alone, with its default settings, on ready tensors of a batch; as many batches as make one round.</summary>
    public Action OnnxRuntime(int batch)
    {
        var session = Own(new InferenceSession(_file));
        var run = Own(new RunOptions());
        var image = new float[batch * _shape.Length];
        for (var i = 0; i < image.Length; i++)
            image[i] = i * 7919 % 256;
        var input = Own(OrtValue.CreateTensorValueFromMemory(image, [batch, _shape.Channels, _shape.Height, _shape.Width]));
        var output = Own(OrtValue.CreateTensorValueFromMemory(new float[batch * _classes], [batch, _classes]));
        var rounds = batch == 1 ? 1 : Count / batch;
        return () =>
        {
            for (var i = 0; i < rounds; i++)
                session.Run(run, ["image"], [input], ["probabilities"], [output]);
        };
    }

    /// <summary>One call of Predict of our transformer.</summary>
    public Action Predict(ITransformer model)
    {
        var engine = Own(_context.Model.CreatePredictionEngine<PixelRow, Scores>(
            model, new PredictionEngineOptions { OwnsTransformer = false, InputSchemaDefinition = Schema(typeof(PixelRow), "Features") }));
        return () => engine.Predict(_pixels[0]);
    }

    /// <summary>One call of Predict of ML.NET's transformer.</summary>
    public Action ApplyOne()
    {
        var engine = Own(_context.Model.CreatePredictionEngine<FloatRow, Probabilities>(
            _applied, new PredictionEngineOptions { OwnsTransformer = false, InputSchemaDefinition = Schema(typeof(FloatRow), "image") }));
        return () => engine.Predict(_floats[0]);
    }

    /// <summary>Our Transform over all images.</summary>
    public Action Transform(ITransformer model)
    {
        var view = model.Transform(_context.Data.LoadFromEnumerable(_pixels, Schema(typeof(PixelRow), "Features")));
        return () => Consume(view, "Score");
    }

    /// <summary>Our Transform over as many JPEG files of the network's size; null for gray images, which are not read from files.</summary>
    public Action? TransformJpeg()
    {
        if (_shape.Channels != 3)
            return null;
        var files = Drawings.Jpeg(Count, _shape.Width).Select(file => new EncodedRow { Features = file }).ToArray();
        var view = Model.Transform(_context.Data.LoadFromEnumerable(files));
        return () => Consume(view, "Score");
    }

    /// <summary>ML.NET's Transform over all images. It reads fewer, again and again, as floats take four times the memory.</summary>
    public Action ApplyAll()
    {
        var view = _applied.Transform(Floats());
        return () =>
        {
            for (var i = 0; i < Count / Batch; i++)
                Consume(view, "probabilities");
        };
    }

    public void Dispose()
    {
        _owned.Reverse();
        _owned.ForEach(owned => owned.Dispose());
        File.Delete(_file);
    }

    private static void Consume(IDataView view, string column)
    {
        foreach (var _ in view.GetColumn<VBuffer<float>>(column))
        {
        }
    }

    private IDataView Floats() => _context.Data.LoadFromEnumerable(_floats, Schema(typeof(FloatRow), "image"));

    private SchemaDefinition Schema(Type type, string column)
    {
        var schema = SchemaDefinition.Create(type);
        schema[column].ColumnType = type == typeof(PixelRow)
            ? new VectorDataViewType(NumberDataViewType.Byte, _shape.Height, _shape.Width, _shape.Channels)
            : new VectorDataViewType(NumberDataViewType.Single, _shape.Length);
        return schema;
    }

    private T Own<T>(T value) where T : IDisposable
    {
        _owned.Add(value);
        return value;
    }

    private sealed class PixelRow
    {
        public byte[] Features { get; set; } = [];
    }

    private sealed class EncodedRow
    {
        public byte[] Features { get; set; } = [];
    }

    private sealed class FloatRow
    {
        [ColumnName("image")]
        public float[] Image { get; set; } = [];
    }

    private sealed class Scores
    {
        public float[] Score { get; set; } = [];
    }

    private sealed class Probabilities
    {
        [ColumnName("probabilities")]
        public float[] Values { get; set; } = [];
    }
}
