using Microsoft.ML.Flooding.Runtime;

namespace Microsoft.ML;

/// <summary>Cancels the work of an MLContext.</summary>
public static class MLContextCancellation
{
    /// <summary>
    /// Cancels everything that runs in the context. Can be called from any thread. A training run ends within a step, with an
    /// <see cref="OperationCanceledException"/>. The context cannot be used for training afterward; create a new one.
    /// </summary>
    public static void CancelExecution(this MLContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        HostSettings.Cancel(context);
    }
}
