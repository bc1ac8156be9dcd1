using Orleans.TestingHost;

namespace Microsoft.ML.Flooding.Orleans.Tests;

/// <summary>Trainings on three silos of this process give what they give in one process.</summary>
[TestClass]
public sealed class ClusterTests
{
    private static TestCluster _silos = null!;

    [ClassInitialize]
    public static void Deploy(TestContext context)
    {
        var builder = new TestClusterBuilder(initialSilosCount: 3);
        builder.AddSiloBuilderConfigurator<Workers>();
        _silos = builder.Build();
        _silos.Deploy();
    }

    [ClassCleanup]
    public static void Stop() => _silos.StopAllSilos();

    public static IEnumerable<object[]> Settings =>
    [
        ["one run", Images.Options(o => o.FloodLevel = 0.3f)],
        ["levels", Images.Options(o => o.FloodLevels = FloodLevels.Create(0, 0.2f, 0.5f, 1))],
        ["levels that suit the plain run", Images.Options(o => o.FloodLevels = FloodLevels.Adaptive)],
        ["levels that share nothing", Images.Options(o =>
        {
            (o.FloodLevels, o.Objective) = (FloodLevels.Create(0, 0.5f), FloodingObjective.SoftAscentDescent(0.5));
            (o.Schedule, o.Optimizer, o.EarlyStopping) = (LearningRateSchedule.Step(0.5, 0.3, 0.6), Optimizer.AdamW, null);
        })],
        ["held-out predictions, and a choice among weights", Images.Options(o => o.Objective = FloodingObjective.CrossFitted([0.3, 0.7]))],
        ["teachers", Images.Options(o => o.Objective = FloodingObjective.SelfDistilled())],
    ];

    [TestMethod]
    [DynamicData(nameof(Settings))]
    public void A_cluster_trains_what_one_process_trains(string name, FloodedImageClassificationTrainer.Options options)
    {
        using var alone = Images.Fit(options);
        options.Cluster = new OrleansCluster(_silos.Client);
        using var together = Images.Fit(options);
        Console.WriteLine(name);
        Images.AssertSame(alone, together);
    }

    private sealed class Workers : ISiloConfigurator
    {
        public void Configure(ISiloBuilder siloBuilder) =>
            siloBuilder.AddFlooding(options => options.Threads = Environment.ProcessorCount);
    }
}
