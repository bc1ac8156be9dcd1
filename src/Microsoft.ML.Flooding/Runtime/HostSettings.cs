using Microsoft.ML.Data;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Flooding.Runtime;

/// <summary>The settings of an MLContext that ML.NET hands to its own components only.</summary>
internal static class HostSettings
{
    /// <summary>The seed of the MLContext, or null.</summary>
    public static int? SeedOf(IHostEnvironment environment) => (environment as IHostEnvironmentInternal)?.Seed;

    /// <summary>The GPU that the MLContext asks for, or null.</summary>
    public static int? GpuDeviceIdOf(IHostEnvironment environment) => (environment as IHostEnvironmentInternal)?.GpuDeviceId;

    /// <summary>Whether the CPU may stand in for a GPU that is not there.</summary>
    public static bool FallbackToCpuOf(IHostEnvironment environment) => (environment as IHostEnvironmentInternal)?.FallbackToCpu ?? true;

    /// <summary>Throws once the execution of the MLContext that the host is registered in was cancelled; a context itself does not know.</summary>
    /// <exception cref="OperationCanceledException">It was.</exception>
    public static void ThrowIfCanceled(IHost host) => host.CheckAlive();

    /// <summary>Cancels all that runs in a context.</summary>
    public static void Cancel(MLContext context) => context.CancelExecution();

    /// <summary>The environment that a catalog's extension methods create their components in.</summary>
    public static IHostEnvironment Of(TransformsCatalog catalog) => CatalogUtils.GetEnvironment(catalog);

    /// <inheritdoc cref="Of(TransformsCatalog)"/>
    public static IHostEnvironment Of(MulticlassClassificationCatalog.MulticlassClassificationTrainers catalog) => CatalogUtils.GetEnvironment(catalog);
}
