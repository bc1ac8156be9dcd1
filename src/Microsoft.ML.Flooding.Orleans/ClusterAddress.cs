using System.Globalization;
using System.Net;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Orleans.Configuration;
using StackExchange.Redis;

namespace Microsoft.ML.Flooding;

/// <summary>
/// Where the silos of a cluster and its clients find each other, as text:
/// <list type="bullet">
/// <item><c>localhost</c>, or <c>localhost:PORT</c>: one machine, for development. The silo with this port is the first one, and the
/// cluster ends with it. Default: 11111.</item>
/// <item><c>redis:HOST:PORT</c>: a Redis server, with options of StackExchange.Redis such as <c>,password=...</c>.</item>
/// <item><c>postgresql:CONNECTION STRING</c>: a PostgreSQL database with the tables of Orleans' clustering. The application references
/// Npgsql.</item>
/// </list>
/// All processes of a cluster have the same address, the same <c>ClusterId</c> and the same <c>ServiceId</c> (<c>flooding</c>).
/// </summary>
public sealed class ClusterAddress
{
    private const string Id = "flooding";
    private const string RedisPrefix = "redis:";
    private const string PostgreSqlPrefix = "postgresql:";
    private const string LocalName = "localhost";
    private const int DefaultPort = 11111;

    private readonly string _text;
    private readonly Action<ISiloBuilder> _joinAsSilo;
    private readonly Action<IClientBuilder> _joinAsClient;

    private ClusterAddress(string text, Action<ISiloBuilder> joinAsSilo, Action<IClientBuilder> joinAsClient) =>
        (_text, _joinAsSilo, _joinAsClient) = (text, joinAsSilo, joinAsClient);

    /// <summary>Reads an address.</summary>
    /// <exception cref="FormatException">The text is no address.</exception>
    public static ClusterAddress Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        if (text.StartsWith(RedisPrefix, StringComparison.Ordinal) && text.Length > RedisPrefix.Length)
            return Redis(text);
        if (text.StartsWith(PostgreSqlPrefix, StringComparison.Ordinal) && text.Length > PostgreSqlPrefix.Length)
            return PostgreSql(text);
        var port = DefaultPort;
        if (text == LocalName || (text.StartsWith(LocalName + ":", StringComparison.Ordinal)
            && int.TryParse(text.AsSpan(LocalName.Length + 1), NumberStyles.None, CultureInfo.InvariantCulture, out port)
            && port is > 0 and <= ushort.MaxValue))
            return Local(text, port);
        throw new FormatException(
            $"'{text}' is not the address of a cluster. Use localhost, localhost:PORT, redis:HOST:PORT or postgresql:CONNECTION STRING.");
    }

    /// <summary>Lets a silo join the cluster, with the first free ports of the machine.</summary>
    /// <param name="builder">The builder of the silo.</param>
    public void Join(ISiloBuilder builder)
    {
        ArgumentNullException.ThrowIfNull(builder);
        _joinAsSilo(builder);
        builder.Configure<ClusterOptions>(options => (options.ClusterId, options.ServiceId) = (Id, Id));
        // A machine that is lost is found out in seconds.
        builder.Configure<ClusterMembershipOptions>(options =>
        {
            options.ProbeTimeout = TimeSpan.FromSeconds(2);
            options.NumMissedProbesLimit = 3;
            options.NumVotesForDeathDeclaration = 1;
            // After all machines were lost, a new one first waits for these, so long as the table says that they live.
            options.IAmAliveTablePublishTimeout = TimeSpan.FromSeconds(5);
            options.NumMissedTableIAmAliveLimit = 2;
        });
    }

    /// <summary>Lets a client of an application join the cluster.</summary>
    /// <param name="builder">The builder of the client.</param>
    public void Join(IClientBuilder builder)
    {
        ArgumentNullException.ThrowIfNull(builder);
        _joinAsClient(builder);
        // Each silo can be lost, and others join.
        builder.Configure<GatewayOptions>(options => options.GatewayListRefreshPeriod = TimeSpan.FromSeconds(3));
        builder.Configure<ClusterOptions>(options => (options.ClusterId, options.ServiceId) = (Id, Id));
    }

    /// <summary>The text.</summary>
    public override string ToString() => _text;

    /// <summary>A host that is a client of the cluster.</summary>
    internal IHost CreateClient() => new HostBuilder()
        .ConfigureLogging(logging => logging.SetMinimumLevel(LogLevel.Warning))
        .UseOrleansClient(Join)
        .Build();

    private static ClusterAddress Local(string text, int port) => new(
        text,
        builder =>
        {
            var first = new IPEndPoint(IPAddress.Loopback, port);
            var silo = Ports.IsFree(port) ? port : Ports.Free();
            builder.UseDevelopmentClustering(first);
            builder.Configure<EndpointOptions>(options =>
            {
                options.AdvertisedIPAddress = IPAddress.Loopback;
                options.SiloPort = silo;
                options.GatewayPort = silo == port ? port + 1 : Ports.Free();
            });
        },
        builder => builder.UseStaticClustering(new IPEndPoint(IPAddress.Loopback, port + 1)));

    private static ClusterAddress Redis(string text)
    {
        var configuration = ConfigurationOptions.Parse(text[RedisPrefix.Length..]);
        configuration.AbortOnConnectFail = false;
        return new ClusterAddress(
            text,
            builder =>
            {
                Ports.Choose(builder);
                builder.UseRedisClustering(options => options.ConfigurationOptions = configuration);
            },
            builder => builder.UseRedisClustering(options => options.ConfigurationOptions = configuration));
    }

    private static ClusterAddress PostgreSql(string text)
    {
        const string Invariant = "Npgsql";
        var connection = text[PostgreSqlPrefix.Length..];
        return new ClusterAddress(
            text,
            builder =>
            {
                Ports.Choose(builder);
                builder.UseAdoNetClustering(options => (options.Invariant, options.ConnectionString) = (Invariant, connection));
            },
            builder => builder.UseAdoNetClustering(options => (options.Invariant, options.ConnectionString) = (Invariant, connection)));
    }

    /// <summary>Several silos can run on one machine.</summary>
    private static class Ports
    {
        public static bool IsFree(int port) => TryListen(port) is not null;

        public static int Free() => TryListen(0)!.Value;

        public static void Choose(ISiloBuilder builder) =>
            builder.Configure<EndpointOptions>(options => (options.SiloPort, options.GatewayPort) = (Free(), Free()));

        private static int? TryListen(int port)
        {
            using var listener = new System.Net.Sockets.TcpListener(IPAddress.Any, port);
            try
            {
                listener.Start();
                return ((IPEndPoint)listener.LocalEndpoint).Port;
            }
            catch (System.Net.Sockets.SocketException)
            {
                return null;
            }
        }
    }
}
