using Microsoft.Extensions.Hosting;
using Microsoft.ML.Flooding.Distribution;
using Microsoft.ML.Flooding.Orleans;

namespace Microsoft.ML.Flooding;

/// <summary>
/// A cluster of Microsoft Orleans whose silos train: those that <c>mlflood worker</c> starts, or that call
/// <see cref="global::Orleans.Hosting.FloodingSiloBuilderExtensions.AddFlooding"/>.
/// </summary>
public sealed class OrleansCluster : TrainingCluster, IAsyncDisposable
{
    private readonly IClusterClient _client;
    private readonly IHost? _host;

    /// <param name="client">A client that is connected, such as that of an application's host. It stays the caller's.</param>
    public OrleansCluster(IClusterClient client)
    {
        ArgumentNullException.ThrowIfNull(client);
        _client = client;
    }

    private OrleansCluster(IHost host, IClusterClient client)
        : this(client) => _host = host;

    /// <summary>Connects to a cluster.</summary>
    /// <param name="address">Where the silos find each other; see <see cref="ClusterAddress"/>.</param>
    /// <param name="cancellationToken">Gives up connecting.</param>
    /// <exception cref="FormatException">The address is malformed; the message says what it can be.</exception>
    public static async Task<OrleansCluster> ConnectAsync(string address, CancellationToken cancellationToken = default)
    {
        var host = ClusterAddress.Parse(address).CreateClient();
        try
        {
            await host.StartAsync(cancellationToken).ConfigureAwait(false);
            return new OrleansCluster(host, (IClusterClient)host.Services.GetService(typeof(IClusterClient))!);
        }
        catch
        {
            host.Dispose();
            throw;
        }
    }

    /// <inheritdoc/>
    internal override IClusterConnection Connect(IRunOwner owner) => new ClusterConnection(_client, owner);

    /// <summary>Disconnects, unless the client is the application's.</summary>
    public async ValueTask DisposeAsync()
    {
        if (_host is null)
            return;
        await _host.StopAsync().ConfigureAwait(false);
        _host.Dispose();
    }
}
