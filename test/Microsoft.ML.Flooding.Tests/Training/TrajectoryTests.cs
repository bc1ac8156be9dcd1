using System.Text.Json;
using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Networks;
using Microsoft.ML.Flooding.Objectives;
using Microsoft.ML.Flooding.Training;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Tests.Training;

/// <summary>
/// Compares each step with PyTorch's, computed in float64. A file is named trajectory-OBJECTIVE-OPTIMIZER; Fixtures/oracle/README.md
/// describes what it holds.
/// </summary>
[TestClass]
public sealed class TrajectoryTests : IDisposable
{
    private const double Tolerance = 1e-5;

    private readonly Threads _threads = Threads.UseAll();

    public static IEnumerable<object[]> Trajectories =>
        from path in Directory.EnumerateFiles(Fixtures.Oracle, "trajectory-*.safetensors").Order()
        select new object[] { Path.GetFileNameWithoutExtension(path) };

    public void Dispose() => _threads.Dispose();

    [TestMethod]
    [DynamicData(nameof(Trajectories))]
    public void Every_loss_is_that_of_PyTorch(string name)
    {
        using var scope = NewDisposeScope();
        using var file = SafetensorsFile.Open(Path.Combine(Fixtures.Oracle, name + ".safetensors"));
        var tensors = file.LoadAll();
        var objective = ObjectiveOf(name, file, tensors);
        using var network = new TwoLayers();
        network.LoadState(network.State().ToDictionary(s => s.Name, s => tensors[$"init.{s.Name}"]));
        var options = OptionsOf(name, file);
        using var weights = new WorkingWeights(network, CPU, ScalarType.Float32);
        using var normalizer = new Normalization([0], [255]).On(CPU);
        using var step = new TrainingStep(weights, objective, new WholeNetwork(weights, normalizer, freezeBatchNorm: false), options);
        using var generator = new Generator(0);
        var images = tensors["images"].unsqueeze(-1);
        var expected = tensors["losses"].data<double>().ToArray();

        for (var i = 0; i < expected.Length; i++)
        {
            var rows = tensors["batches"][i];
            var batch = new ImageBatch(images.index_select(0, rows), tensors["labels"].index_select(0, rows), rows);
            var (loss, _, _) = step.Take(batch, options.EffectiveLearningRate, generator);
            Assert.AreEqual(expected[i], loss.item<float>(), Tolerance, $"step {i}");
        }
        foreach (var (parameter, value) in network.State())
            Assert.IsLessThan(Tolerance, (value - tensors[$"final.{parameter}"]).abs().max().item<double>(), $"final {parameter}");
    }

    private static Objective ObjectiveOf(string name, SafetensorsFile file, Dictionary<string, Tensor> tensors)
    {
        var settings = JsonDocument.Parse(file.Metadata["objective"]).RootElement;
        double Number(string property) => settings.GetProperty(property).GetDouble();
        return name.Split('-')[1] switch
        {
            "plain" => Flood.At(0),
            "flood" => Flood.At(Number("b")),
            "iflood" => new IndividualFlood(Number("b")),
            "softad" => new SoftAscentDescent(Number("theta"), Number("sigma")),
            "adaptive" => new AdaFlood(tensors["sample_levels"].to(ScalarType.Float32)),
            "classwise" => new ClassWise(tensors["class_levels"].to(ScalarType.Float32)),
            var other => throw new InvalidOperationException($"'{name}' names an objective '{other}'. Add it to {nameof(ObjectiveOf)}."),
        };
    }

    private static TrainingOptions OptionsOf(string name, SafetensorsFile file)
    {
        var settings = JsonDocument.Parse(file.Metadata["optimizer"]).RootElement;
        double Number(string property) => settings.TryGetProperty(property, out var value) ? value.GetDouble() : 0;
        return new TrainingOptions
        {
            Optimizer = name.Split('-')[^1] switch
            {
                "sgd" or "nesterov" => Optimizer.Sgd,
                "adam" => Optimizer.Adam,
                "adamw" => Optimizer.AdamW,
                var other => throw new InvalidOperationException($"'{name}' names an optimizer '{other}'. Add it to {nameof(OptionsOf)}."),
            },
            LearningRate = Number("lr"),
            Momentum = Number("momentum"),
            Nesterov = settings.TryGetProperty("nesterov", out var nesterov) && nesterov.GetBoolean(),
            WeightDecay = Number("weight_decay"),
        };
    }

    /// <summary>784 - 64 - tanh - 10, the network of the trajectories.</summary>
    private sealed class TwoLayers : nn.Module<Tensor, Tensor>
    {
        private readonly TorchSharp.Modules.Linear _fc1 = nn.Linear(784, 64);
        private readonly TorchSharp.Modules.Linear _fc2 = nn.Linear(64, 10);

        public TwoLayers() : base(nameof(TwoLayers))
        {
            register_module("fc1", _fc1);
            register_module("fc2", _fc2);
        }

        public override Tensor forward(Tensor input) => _fc2.forward(_fc1.forward(input.flatten(1)).tanh());
    }
}
