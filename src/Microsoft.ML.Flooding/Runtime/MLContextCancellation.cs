using Microsoft.ML.Flooding.Runtime;

namespace Microsoft.ML;

/// <summary>Cancellation of what runs in an MLContext, which ML.NET keeps to itself.</summary>
public static class MLContextCancellation
{
    /// <summary>
    /// Cancels all that runs in the context, from any thread: a training ends with an <see cref="OperationCanceledException"/> within a step.
    /// The context is of no use for further training after that.
    /// </summary>
    public static void CancelExecution(this MLContext context)
    {
        ArgumentNullException.ThrowIfNull(context);
        HostSettings.Cancel(context);
    }
}
