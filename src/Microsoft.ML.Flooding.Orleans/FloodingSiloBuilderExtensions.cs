using Microsoft.Extensions.DependencyInjection;
using Microsoft.ML.Flooding;
using Microsoft.ML.Flooding.Orleans;

namespace Orleans.Hosting;

/// <summary>Makes a silo a worker that trains flooded image classifiers.</summary>
public static class FloodingSiloBuilderExtensions
{
    /// <summary>The name of the meter: runs running, waiting, trained and failed, epochs, images per second.</summary>
    public const string MeterName = "Microsoft.ML.Flooding";

    /// <summary>Lets the silo train the runs that an <see cref="OrleansCluster"/> offers. The application needs libtorch.</summary>
    /// <param name="builder">The builder of a silo, whose clustering is configured as usual.</param>
    /// <param name="configure">Sets options.</param>
    public static ISiloBuilder AddFlooding(this ISiloBuilder builder, Action<FloodingWorkerOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(builder);
        builder.Services.Configure<FloodingWorkerOptions>(options => configure?.Invoke(options));
        builder.Services.AddHostedService<Worker>();
        return builder;
    }
}
