namespace Microsoft.ML.Flooding.Orleans;

/// <inheritdoc cref="IDispatcherGrain"/>
internal sealed class DispatcherGrain : Grain, IDispatcherGrain
{
    /// <summary>The key of the only one.</summary>
    public const int Key = 0;

    private readonly Dispatcher _dispatcher = new(TimeProvider.System);

    public Task<ClientOrders> Sync(ClientReport report)
    {
        var orders = _dispatcher.Sync(report);
        WorkerMetrics.Waiting = _dispatcher.Waiting;
        return Task.FromResult(orders);
    }

    public Task<WorkerOrders> Sync(WorkerReport report) => Task.FromResult(_dispatcher.Sync(report));

    public override Task OnDeactivateAsync(DeactivationReason reason, CancellationToken cancellationToken)
    {
        WorkerMetrics.Waiting = 0;
        return Task.CompletedTask;
    }
}
