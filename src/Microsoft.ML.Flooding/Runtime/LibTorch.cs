using System.Runtime.InteropServices;
using TorchSharp;

namespace Microsoft.ML.Flooding.Runtime;

/// <summary>Loads libtorch. If that fails, the error says what to do.</summary>
internal static class LibTorch
{
    private static readonly Lazy<string?> Problem = new(Load);

    /// <summary>Loads libtorch. Call this method before the first use of TorchSharp.</summary>
    /// <exception cref="InvalidOperationException">
    /// libtorch cannot be loaded; the message names the required package or C++ runtime.
    /// </exception>
    public static void EnsureLoaded()
    {
        // TorchSharp's exception is left out: its message is a page long.
        if (Problem.Value is { } problem)
            throw new InvalidOperationException(problem);
    }

    /// <summary>Whether libtorch can be used. The first call loads it.</summary>
    public static bool IsAvailable => Problem.Value is null;

    private static string? Load()
    {
        try
        {
            OpenMp.WaitPassively();
            torch.empty(0).Dispose();
            return null;
        }
        catch (Exception e) when (e is TypeInitializationException or DllNotFoundException or NotSupportedException
            or BadImageFormatException)
        {
            return Explain(NativeLoadError(), e);
        }
    }

    /// <summary>
    /// The loader's error message for TorchSharp's native library, which also covers its dependencies; empty if there is none.
    /// </summary>
    private static string NativeLoadError()
    {
        foreach (var folder in ProbingFolders())
        {
            var file = Directory.Exists(folder) ? Directory.EnumerateFiles(folder, "*LibTorchSharp.*").FirstOrDefault() : null;
            if (file is null)
                continue;
            try
            {
                NativeLibrary.Load(file);
            }
            catch (Exception e) when (e is DllNotFoundException or BadImageFormatException)
            {
                return e.Message;
            }
        }
        return "";
    }

    private static IEnumerable<string> ProbingFolders()
    {
        var directories = AppContext.GetData("NATIVE_DLL_SEARCH_DIRECTORIES") as string ?? "";
        return directories.Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries)
            .Append(AppContext.BaseDirectory)
            .Append(Path.Combine(AppContext.BaseDirectory, "runtimes", RuntimeInformation.RuntimeIdentifier, "native"));
    }

    internal static string Explain(string nativeError, Exception cause)
    {
        var version = System.Text.RegularExpressions.Regex.Match(nativeError, @"version [`'](GLIBCXX_[\d.]+|GLIBC_[\d.]+)'");
        if (version.Success)
            return $"libtorch needs a newer C++ runtime: {version.Groups[1].Value} is missing from this system's "
                + (version.Groups[1].Value.StartsWith("GLIBCXX", StringComparison.Ordinal) ? "libstdc++.so.6" : "libc.so.6")
                + ". Use a distribution with GCC 13 or newer (Debian 13, Ubuntu 24.04, RHEL 10) or install its libstdc++6.";
        var package = OperatingSystem.IsWindows() ? "TorchSharp-cpu or TorchSharp-cuda-windows"
            : OperatingSystem.IsLinux() ? "TorchSharp-cpu or TorchSharp-cuda-linux"
            : "TorchSharp-cpu";
        return "libtorch, TorchSharp's native library, cannot be loaded. Add one of these packages to the application (not to a library): "
            + $"{package}, version {typeof(torch).Assembly.GetName().Version?.ToString(3)}. "
            + (nativeError.Length > 0
                ? $"The loader reports: {nativeError.Split('\n')[0]}"
                : cause.GetBaseException().Message.Split('\n')[0]);
    }
}
