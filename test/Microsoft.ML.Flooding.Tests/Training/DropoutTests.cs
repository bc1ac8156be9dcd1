using Microsoft.ML.Flooding.Tests.Networks;
using Microsoft.ML.Flooding.Tests.Pipeline;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Tests.Training;

/// <summary>Custom modules draw dropout from libtorch's global generator. A run makes it follow the run's seed.</summary>
[TestClass]
public sealed class DropoutTests
{
    private readonly MLContext _context = new(seed: 1);
    private string _folder = "";

    [TestInitialize]
    public void CreateFolder() => _folder = Directory.CreateTempSubdirectory("flooding-dropout-").FullName;

    [TestCleanup]
    public void DeleteFolder() => Directory.Delete(_folder, recursive: true);

    [TestMethod]
    [DataRow("factory")]
    [DataRow("script")]
    public void The_same_seed_gives_the_same_weights_whatever_else_is_drawn(string kind)
    {
        var first = Weights(kind);
        CollectionAssert.AreEqual(first, Weights(kind, o => o.MetricsCallback = _ => rand(5).Dispose()));
        CollectionAssert.AreNotEqual(first, Weights(kind, o => o.Seed = 2));
        CollectionAssert.AreNotEqual(first, Weights(kind, dropout: false), "There is dropout.");
    }

    [TestMethod]
    [DataRow("factory")]
    [DataRow("script")]
    public void The_generator_of_the_application_is_left_as_it_was(string kind)
    {
        using var scope = NewDisposeScope();
        manual_seed(7);
        var expected = rand(3);
        manual_seed(7);
        Weights(kind);
        Assert.IsTrue(expected.Equals(rand(3)));
    }

    [TestMethod]
    public void Runs_at_the_same_time_do_not_disturb_each_other()
    {
        var alone = Weights("factory");
        var together = Enumerable.Range(0, 3).Select(_ => Task.Run(() => Weights("factory", context: new MLContext(seed: 1)))).ToArray();
        Task.WaitAll(together);
        foreach (var run in together)
            CollectionAssert.AreEqual(alone, run.Result);
    }

    [TestMethod]
    public void A_run_that_was_interrupted_continues_with_the_same_bits()
    {
        var undisturbed = Weights("factory", o => o.Epochs = 4);
        Assert.ThrowsExactly<NotSupportedException>(() => Weights("factory", o =>
        {
            (o.Epochs, o.CheckpointDirectory) = (4, _folder);
            o.MetricsCallback = m =>
            {
                if (m.Epoch == 2)
                    throw new NotSupportedException();
            };
        }));
        CollectionAssert.AreEqual(undisturbed, Weights("factory", o => (o.Epochs, o.CheckpointDirectory) = (4, _folder)));
    }

    private byte[] Weights(
        string kind, Action<FloodedImageClassificationTrainer.Options>? change = null, bool dropout = true, MLContext? context = null)
    {
        context ??= _context;
        var data = FashionMnistData.Train(context, 100);
        using var model = ShortRun.Fit(context, data, o =>
        {
            o.Architecture = kind == "factory" ? Factory(dropout) : Script(dropout);
            change?.Invoke(o);
        });
        return SavedModel.Weights(context, model, data.Schema);
    }

    private static Architecture Factory(bool dropout) => Architecture.FromFactory($"dropout-{dropout}", (classes, channels) =>
        nn.Sequential(nn.Flatten(), nn.Dropout(dropout ? 0.5 : 0), nn.Linear(784 * channels, 16), nn.ReLU(), nn.Linear(16, classes)));

    private static Architecture Script(bool dropout)
    {
        var path = Path.GetTempFileName();
        try
        {
            File.WriteAllBytes(path, TorchScriptArchive.Linear(784, 10, dropout ? "0.5" : "0."));
            return Architecture.FromTorchScript(path, inputSize: 28);
        }
        finally
        {
            File.Delete(path);
        }
    }
}
