using System.CommandLine;
using System.Globalization;
using Microsoft.Extensions.Configuration;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Mlflood.Options;
using Mlflood.Terminal;
using OpenTelemetry.Metrics;

namespace Mlflood.Verbs;

internal static class WorkerVerb
{
    private const string OrleansMeterName = "Microsoft.Orleans";
    private const string TelemetryVariable = "OTEL_EXPORTER_OTLP_ENDPOINT";

    public static Command Create()
    {
        var cluster = new ClusterOptions("The cluster to join.", isRequired: true);
        var name = new Option<string>("--name")
        {
            Description = "The name of the worker in progress tables and errors. Default: the machine and the number of the process.",
            HelpName = "TEXT",
        };
        var places = Count("--places", "How many runs to train at a time. Default: one for each GPU; 1 without a GPU.");
        var threads = Count("--threads", "The threads of each run. Default: all cores, or OMP_NUM_THREADS, divided by --places.");
        var cache = ClusterOptions.FolderOf(
            "--cache-folder",
            "Where to keep images and checkpoints that are sent, until the worker ends. Default: the folder for temporary files.");
        var command = new Command(
            "worker", "Trains what train and search with --cluster ask for, until Ctrl-C ends it.") { name, places, threads, cache };
        cluster.AddTo(command);
        command.SetAction(result => Run(cluster.AddressOf(result)!, options =>
        {
            options.Name = result.GetValue(name) ?? options.Name;
            (options.Places, options.Threads) = (result.GetValue(places), result.GetValue(threads));
            options.SharedFolder = result.GetValue(cluster.SharedFolder)?.FullName;
            options.CacheFolder = result.GetValue(cache)?.FullName;
        }));
        return HelpWithExamples.WithExamples(
            command,
            "mlflood worker --cluster redis:10.0.0.1:6379",
            "mlflood worker --cluster redis:10.0.0.1:6379 --shared-folder /mnt/training --places 2 --threads 8",
            "mlflood worker --cluster localhost");
    }

    private static int Run(ClusterAddress address, Action<FloodingWorkerOptions> configure)
    {
        TorchBackend.Load();
        var own = new FloodingWorkerOptions();
        configure(own);
        using var interrupt = new Interrupt(() => Screen.WriteNote("Leaving the cluster. Ctrl-C again ends at once."));
        using var logger = new ScreenLogger();
        using var host = CreateHost(address, configure, logger);
        ClusterOptions.Answer(async token =>
        {
            await host.StartAsync(token);
            return true;
        });
        // Until here, exceptions say what goes wrong.
        logger.IsOn = true;
        Screen.WriteNote($"Worker {own.Name} is ready.");
        var ended = host.Services.GetRequiredService<IHostApplicationLifetime>().ApplicationStopping;
        WaitHandle.WaitAny([interrupt.Token.WaitHandle, ended.WaitHandle]);
        // Orleans warns that leaving takes seconds.
        logger.IsOn = !interrupt.Token.IsCancellationRequested;
        host.StopAsync(CancellationToken.None).GetAwaiter().GetResult();
        return interrupt.Token.IsCancellationRequested ? ExitCode.Done : ExitCode.Failed;
    }

    private static IHost CreateHost(ClusterAddress address, Action<FloodingWorkerOptions> configure, ScreenLogger logger)
    {
        var builder = Host.CreateEmptyApplicationBuilder(new HostApplicationBuilderSettings { DisableDefaults = true });
        // Those of OpenTelemetry.
        builder.Configuration.AddEnvironmentVariables();
        builder.Logging.AddProvider(logger).SetMinimumLevel(LogLevel.Warning)
            .AddFilter("Microsoft.ML.Flooding", LogLevel.Information);
        builder.UseOrleans(silo =>
        {
            address.Join(silo);
            silo.AddFlooding(configure);
        });
        if (Environment.GetEnvironmentVariable(TelemetryVariable) is { Length: > 0 })
        {
            builder.Services.AddOpenTelemetry().WithMetrics(metrics => metrics
                .AddMeter(FloodingSiloBuilderExtensions.MeterName, OrleansMeterName)
                .AddOtlpExporter());
        }
        return builder.Build();
    }

    private static Option<int?> Count(string name, string description)
    {
        var option = new Option<int?>(name) { Description = description, HelpName = "N" };
        option.Validators.Add(result =>
        {
            if (result.Tokens is [var token] && int.TryParse(token.Value, CultureInfo.InvariantCulture, out var n) && n < 1)
                result.AddError($"{name} is {n}. Give a whole number of at least 1.");
        });
        return option;
    }
}
