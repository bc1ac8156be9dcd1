using System.Collections.Concurrent;
using System.Runtime.InteropServices;
using Google.Protobuf;
using Microsoft.ML.Flooding.Images;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;

namespace Microsoft.ML.Flooding.Scoring;

/// <summary>Scores with ONNX Runtime on the CPU. It does not touch libtorch.</summary>
internal sealed class OnnxRuntimeScorer(TrainedNetwork network, ModelDescription description) : Scorer
{
    private readonly PlanarNormalizer _normalizer = new(description.Normalization);
    private readonly Lock _opening = new();
    private readonly ConcurrentBag<Pass> _idle = [];
    private readonly RunOptions _run = new();
    private volatile InferenceSession? _session;

    public override int BatchSize { get; } = BatchOf(description.Shape);

    public override void Score(PixelBatch pixels, Span<float> probabilities)
    {
        if (pixels.Count == 0)
            return;
        var session = Session();
        if (!_idle.TryTake(out var pass))
            pass = new Pass(session, description);
        try
        {
            pass.Prepare(pixels.Count);
            for (var i = 0; i < pixels.Count; i++)
                _normalizer.Apply(pixels, i, pass.Image(i));
            session.RunWithBinding(_run, pass.Binding);
            pass.Probabilities.CopyTo(probabilities);
            _idle.Add(pass);
        }
        catch
        {
            pass.Dispose();
            throw;
        }
    }

    public override void Dispose()
    {
        while (_idle.TryTake(out var pass))
            pass.Dispose();
        _run.Dispose();
        _session?.Dispose();
    }

    /// <summary>A batch of images whose pixels take about 2 MB as float32. ONNX Runtime gains nothing from larger ones.</summary>
    private static int BatchOf(ImageShape shape) => Math.Clamp((2 << 20) / (sizeof(float) * shape.Length), 1, 256);

    /// <summary>
    /// Opens the session at the first use: a model that is loaded for further training, export or inspection does not need it. If this
    /// fails, for example for lack of memory, the next use tries again.
    /// </summary>
    private InferenceSession Session()
    {
        if (_session is { } session)
            return session;
        lock (_opening)
            return _session ??= Open();
    }

    private InferenceSession Open()
    {
        using var options = new SessionOptions
        {
            // .NET knows the limits of a container; ONNX Runtime would count the processors of the machine.
            IntraOpNumThreads = Environment.ProcessorCount,
            LogSeverityLevel = OrtLoggingLevel.ORT_LOGGING_LEVEL_ERROR,
        };
        // The layers of a network follow each other within microseconds: a thread that spins for so long is ready for the next one. One
        // that spins for longer takes the processor from other work, and from the threads that it waits for.
        options.AddSessionConfigEntry("session.intra_op.spin_duration_us", "50");
        using var weights = network.Weights();
        return new InferenceSession(OnnxModel.WithWeights(network.Graph(), weights).ToByteArray(), options);
    }

    /// <summary>The memory of one call, used again by later calls.</summary>
    private sealed unsafe class Pass(InferenceSession session, ModelDescription description) : IDisposable
    {
        private const int Alignment = 64;

        private readonly int _inputs = description.Shape.Length;
        private readonly int _outputs = description.Labels.Count;
        private float* _images;
        private float* _probabilities;
        private OrtValue? _input;
        private OrtValue? _output;
        private int _capacity;
        private int _count;

        /// <summary>The binding of the input and output.</summary>
        public OrtIoBinding Binding { get; } = session.CreateIoBinding();

        /// <summary>The probabilities of all images.</summary>
        public ReadOnlySpan<float> Probabilities => new(_probabilities, _count * _outputs);

        /// <summary>The memory of a normalized image.</summary>
        public Span<float> Image(int index) => new(_images + ((long)index * _inputs), _inputs);

        /// <summary>Binds memory for a number of images.</summary>
        public void Prepare(int count)
        {
            if (count == _count)
                return;
            _count = 0;
            if (count > _capacity)
            {
                _capacity = 0;
                _images = Resize(_images, (long)count * _inputs);
                _probabilities = Resize(_probabilities, (long)count * _outputs);
                _capacity = count;
            }
            Binding.ClearBoundInputs();
            Binding.ClearBoundOutputs();
            var shape = description.Shape;
            Bind(ref _input, _images, [count, shape.Channels, shape.Height, shape.Width]);
            Bind(ref _output, _probabilities, [count, _outputs]);
            Binding.BindInput(OnnxModel.Input, _input!);
            Binding.BindOutput(OnnxModel.Output, _output!);
            _count = count;
        }

        public void Dispose()
        {
            Binding.Dispose();
            _input?.Dispose();
            _output?.Dispose();
            NativeMemory.AlignedFree(_images);
            NativeMemory.AlignedFree(_probabilities);
        }

        private static float* Resize(float* memory, long length) =>
            (float*)NativeMemory.AlignedRealloc(memory, checked((nuint)length * sizeof(float)), Alignment);

        private static void Bind(ref OrtValue? value, float* memory, long[] shape)
        {
            value?.Dispose();
            value = OrtValue.CreateTensorValueWithData(
                OrtMemoryInfo.DefaultInstance, TensorElementType.Float, shape, (nint)memory,
                checked(shape.Aggregate((long)sizeof(float), (product, size) => product * size)));
        }
    }
}
