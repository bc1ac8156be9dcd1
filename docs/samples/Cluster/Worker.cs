using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.ML.Flooding;

namespace Cluster;

/// <summary>A silo that trains. <c>mlflood worker</c> does the same; an application can add training to a silo that it has.</summary>
internal static class Worker
{
    /// <summary>The threads of each training.</summary>
    public const int Threads = 1;

    public static Task RunAsync(string address, string name) => new HostBuilder()
        .ConfigureLogging(logging => logging.SetMinimumLevel(LogLevel.Error))
        .UseOrleans(silo =>
        {
            ClusterAddress.Parse(address).Join(silo);
            silo.AddFlooding(options => (options.Name, options.Threads) = (name, Threads));
        })
        .RunConsoleAsync();
}
