using Microsoft.ML.Data;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Flooding.Runtime;

/// <summary>The settings of an MLContext that are internal to ML.NET.</summary>
internal static class HostSettings
{
    /// <summary>The seed of the MLContext, or null.</summary>
    public static int? SeedOf(IHostEnvironment environment) => (environment as IHostEnvironmentInternal)?.Seed;

    /// <summary>The GPU that the MLContext asks for, or null.</summary>
    public static int? GpuDeviceIdOf(IHostEnvironment environment) => (environment as IHostEnvironmentInternal)?.GpuDeviceId;

    /// <summary>Whether to use the CPU if the GPU is not available.</summary>
    public static bool FallbackToCpuOf(IHostEnvironment environment) => (environment as IHostEnvironmentInternal)?.FallbackToCpu ?? true;

    /// <summary>Throws if the execution of the MLContext that the host is registered in was canceled.</summary>
    /// <remarks>Takes a host because the context itself does not record the cancellation.</remarks>
    /// <exception cref="OperationCanceledException">The execution was canceled.</exception>
    public static void ThrowIfCanceled(IHost host) => host.CheckAlive();

    /// <summary>Cancels everything that runs in a context.</summary>
    public static void Cancel(MLContext context) => context.CancelExecution();

    /// <summary>The environment in which a catalog's extension methods create their components.</summary>
    public static IHostEnvironment Of(TransformsCatalog catalog) => CatalogUtils.GetEnvironment(catalog);

    /// <inheritdoc cref="Of(TransformsCatalog)"/>
    public static IHostEnvironment Of(MulticlassClassificationCatalog catalog) => CatalogUtils.GetEnvironment(catalog);

    /// <inheritdoc cref="Of(TransformsCatalog)"/>
    public static IHostEnvironment Of(MulticlassClassificationCatalog.MulticlassClassificationTrainers catalog) =>
        CatalogUtils.GetEnvironment(catalog);

    /// <inheritdoc cref="Of(TransformsCatalog)"/>
    public static IHostEnvironment Of(DataOperationsCatalog catalog) => CatalogUtils.GetEnvironment(catalog);
}

/// <summary>The properties of data views that are internal to ML.NET.</summary>
internal static class HostViews
{
    /// <summary>Whether rows come from ML.NET's cache, which cannot hold columns of MLImage.</summary>
    public static bool IsCached(IDataView data)
    {
        while (data is IDataTransform transform)
            data = transform.Source;
        return data is CacheDataView;
    }
}
