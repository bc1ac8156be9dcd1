using Microsoft.ML.OnnxRuntime;

namespace Microsoft.ML.Flooding.Runtime;

/// <summary>The native library of ONNX Runtime, which the application provides.</summary>
internal static class OnnxLibrary
{
    private static readonly Lazy<string?> Problem = new(Load);

    /// <summary>Whether ONNX Runtime can be used. The first call loads it.</summary>
    public static bool IsAvailable => Problem.Value is null;

    /// <summary>Loads ONNX Runtime.</summary>
    /// <exception cref="InvalidOperationException">It cannot be loaded; the message names the required package.</exception>
    public static void EnsureLoaded()
    {
        if (Problem.Value is { } problem)
            throw new InvalidOperationException(problem);
    }

    private static string? Load()
    {
        try
        {
            OrtEnv.Instance();
            return null;
        }
        // The last one is thrown by a library that is older than the managed assembly expects.
        catch (Exception e) when (e is TypeInitializationException or DllNotFoundException or BadImageFormatException
            or EntryPointNotFoundException or OnnxRuntimeException or NotSupportedException)
        {
            return "ONNX Runtime's native library cannot be loaded. Add the package Microsoft.ML.OnnxRuntime to the application (not to a "
                + $"library), version {typeof(OrtEnv).Assembly.GetName().Version?.ToString(3)} or later. The loader reports: "
                + e.GetBaseException().Message.Split('\n')[0];
        }
    }
}
