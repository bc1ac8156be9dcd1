namespace Microsoft.ML.Flooding.Orleans.Tests;

/// <summary>Who trains what, when workers, clients and the dispatcher itself come and go.</summary>
[TestClass]
public sealed class DispatcherTests
{
    private const string Version = "1.0";
    private readonly Clock _clock = new();
    private readonly Guid _client = Guid.NewGuid();
    private readonly Guid _first = Guid.NewGuid();
    private readonly Guid _second = Guid.NewGuid();
    private Dispatcher _dispatcher = null!;

    [TestInitialize]
    public void Begin()
    {
        _dispatcher = new Dispatcher(_clock);
        _clock.Pass(Dispatcher.Listening);
    }

    [TestMethod]
    public void Runs_are_assigned_in_order_to_as_many_places_as_there_are()
    {
        Want("a", "b", "c");
        CollectionAssert.AreEqual(new[] { "a", "b" }, Train(_first, places: 2));
        CollectionAssert.AreEqual(new[] { "c" }, Train(_second, places: 2));
        Assert.AreEqual(0, _dispatcher.Waiting);
        var assigned = Want("a", "b", "c").Assigned;
        Assert.AreEqual(assigned["a"].Worker, assigned["b"].Worker);
        Assert.AreNotEqual(assigned["a"].Worker, assigned["c"].Worker);
    }

    [TestMethod]
    public void A_worker_that_is_silent_loses_its_run_to_another_one_and_is_told_so()
    {
        Want("a");
        var old = Sync(_first).Train.Single();
        _clock.Pass(Dispatcher.WorkerTimeout + TimeSpan.FromSeconds(1));
        Want("a");
        var next = Sync(_second).Train.Single();
        Assert.IsGreaterThan(old.Lease, next.Lease);
        CollectionAssert.AreEqual(new[] { "a" }, Sync(_first, Held(old)).Drop);
        Assert.IsEmpty(Sync(_second, Held(next)).Drop);
    }

    [TestMethod]
    public void A_new_dispatcher_first_listens_to_what_workers_have()
    {
        Want("a", "b");
        var run = Sync(_first).Train.Single();
        _dispatcher = new Dispatcher(_clock);
        Want("a", "b");
        Assert.IsEmpty(Sync(_second).Train);
        Assert.IsEmpty(Sync(_first, Held(run)).Drop);
        _clock.Pass(Dispatcher.Listening);
        Assert.IsEmpty(Sync(_first, Held(run)).Train);
        Assert.AreEqual("b", Sync(_second).Train.Single().Id);
        Assert.AreEqual(run.Lease, Want("a", "b").Assigned["a"].Lease);
    }

    [TestMethod]
    public void A_run_that_failed_waits_again_and_one_that_is_trained_keeps_its_worker_but_no_place()
    {
        Want("a", "b");
        var run = Sync(_first).Train.Single();
        var orders = Sync(_first, Held(run) with { State = HeldState.Failed });
        CollectionAssert.AreEqual(new[] { "a" }, orders.Drop);
        Assert.AreEqual("a", orders.Train.Single().Id);
        Assert.AreEqual("b", Sync(_first, Held(orders.Train.Single()) with { State = HeldState.Trained }).Train.Single().Id);
        Assert.IsEmpty(Train(_second, places: 5));
    }

    [TestMethod]
    public void A_run_that_is_no_longer_wanted_is_dropped()
    {
        Want("a");
        var run = Sync(_first).Train.Single();
        Want();
        CollectionAssert.AreEqual(new[] { "a" }, Sync(_first, Held(run)).Drop);
        Want("a");
        Assert.AreEqual("a", Sync(_first).Train.Single().Id);
    }

    [TestMethod]
    public void A_worker_goes_on_without_its_client_and_learns_of_the_next_one()
    {
        Want("a", "b");
        var run = Sync(_first).Train.Single();
        for (var second = 0; second <= Dispatcher.ClientTimeout.TotalSeconds; second++)
        {
            _clock.Pass(TimeSpan.FromSeconds(1));
            Assert.IsEmpty(Sync(_first, Held(run)).Drop);
        }
        Assert.IsEmpty(Train(_second, places: 5), "Nobody wants the other run.");
        var client = Guid.NewGuid();
        _dispatcher.Sync(new ClientReport(client, null!, Version, [new WantedRun("a", "a", Stop: false)]));
        // Without an owner to write to, there is nothing to tell the worker.
        Assert.IsEmpty(Sync(_first, Held(run)).Clients);
        _dispatcher.Sync(new ClientReport(client, new Nobody(), Version, [new WantedRun("a", "a", Stop: false)]));
        var told = Sync(_first, Held(run)).Clients.Single();
        Assert.AreEqual(client, told.Client);
        Assert.AreEqual(run.Lease, told.Lease);
        Assert.IsEmpty(Sync(_first, Held(told)).Clients);
    }

    [TestMethod]
    public void Two_clients_that_want_the_same_run_get_it_one_after_the_other()
    {
        Want("a");
        var run = Sync(_first).Train.Single();
        var other = new ClientReport(Guid.NewGuid(), new Nobody(), Version, [new WantedRun("a", "a", Stop: false)]);
        Assert.IsEmpty(_dispatcher.Sync(other).Assigned);
        Assert.IsEmpty(Sync(_first, Held(run)).Clients);
        Want();
        Assert.IsEmpty(_dispatcher.Sync(other).Assigned);
        Assert.AreEqual(other.Client, Sync(_second).Train.Single().Client);
    }

    [TestMethod]
    public void An_order_that_was_lost_is_given_again()
    {
        Want("a");
        Sync(_first);
        Assert.IsEmpty(Sync(_first).Train, "The answers may have crossed.");
        _clock.Pass(TimeSpan.FromSeconds(4));
        Assert.AreEqual("a", Sync(_first).Train.Single().Id);
    }

    [TestMethod]
    public void Workers_of_another_version_get_nothing_and_are_named()
    {
        Want("a");
        var orders = _dispatcher.Sync(new WorkerReport(_first, "other", "2.0", 1, []));
        Assert.IsEmpty(orders.Train);
        var answer = Want("a");
        Assert.AreEqual(0, answer.Workers);
        CollectionAssert.AreEqual(new[] { "'other' (version 2.0)" }, answer.Refused);
    }

    [TestMethod]
    public void A_run_that_is_to_stop_is_stopped_by_its_worker()
    {
        Want("a");
        var run = Sync(_first).Train.Single();
        _dispatcher.Sync(new ClientReport(_client, new Nobody(), Version, [new WantedRun("a", "a", Stop: true)]));
        CollectionAssert.AreEqual(new[] { "a" }, Sync(_first, Held(run)).Stop);
    }

    private static HeldRun Held(NewRun run) => new(run.Id, run.Lease, run.Client, HeldState.Training);

    private ClientOrders Want(params string[] ids) =>
        _dispatcher.Sync(new ClientReport(_client, new Nobody(), Version, [.. ids.Select(id => new WantedRun(id, id, Stop: false))]));

    private WorkerOrders Sync(Guid worker, params HeldRun[] held) =>
        _dispatcher.Sync(new WorkerReport(worker, worker.ToString(), Version, 1, [.. held]));

    private string[] Train(Guid worker, int places) =>
        [.. _dispatcher.Sync(new WorkerReport(worker, worker.ToString(), Version, places, [])).Train.Select(run => run.Id)];

    private sealed class Clock : TimeProvider
    {
        private DateTimeOffset _now = DateTimeOffset.UtcNow;

        public override DateTimeOffset GetUtcNow() => _now;

        public void Pass(TimeSpan time) => _now += time;
    }

    private sealed class Nobody : IOwnerObserver
    {
        public Task<FilesMessage?> FilesOf(string id) => throw new NotSupportedException();

        public Task<global::Orleans.Concurrency.Immutable<byte[]>?> Read(string id, string file, long offset) =>
            throw new NotSupportedException();

        public Task<bool> Receive(
            string id, long lease, string file, long offset, global::Orleans.Concurrency.Immutable<byte[]> bytes, bool isLast) =>
            throw new NotSupportedException();

        public Task<bool> Written(string id, long lease, string file, string? epoch) => throw new NotSupportedException();

        public Task<bool> Failed(string id, long lease, string worker, string reason) => throw new NotSupportedException();
    }
}
