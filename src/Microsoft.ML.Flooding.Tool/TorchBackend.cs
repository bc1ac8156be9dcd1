using System.Diagnostics;
using System.Reflection;
using System.Runtime.InteropServices;
using System.Text.Json;
using Mlflood.Terminal;

namespace Mlflood;

/// <summary>
/// Finds and loads libtorch. The tool's package brings none, because it takes hundreds of megabytes and depends on the platform: the .NET
/// SDK restores it once from the user's package sources.
/// </summary>
internal static class TorchBackend
{
    /// <summary>The environment variable that names a folder with another libtorch, such as one for CUDA.</summary>
    public const string Variable = "MLFLOOD_LIBTORCH";

    private static readonly string[] Libraries = ["c10", "torch_cpu", "torch"];

    /// <summary>The package of this platform: about 120 MB to download, 475 MB on the disk on Linux.</summary>
    public static string Package => OperatingSystem.IsWindows() ? "libtorch-cpu-win-x64"
        : OperatingSystem.IsMacOS() ? "libtorch-cpu-osx-arm64"
        : "libtorch-cpu-linux-x64";

    public static string Version => BuildInformation.Of("LibTorchVersion");

    /// <summary>Loads libtorch into the process. Call this before the library is used.</summary>
    /// <exception cref="Failure">There is no libtorch and it cannot be restored.</exception>
    public static void Load()
    {
        var folder = Environment.GetEnvironmentVariable(Variable) is { Length: > 0 } given
            ? Directory.Exists(given) ? given : throw new Failure($"{Variable} is '{given}', which is not a folder.")
            : PackageFolders().Select(Find).FirstOrDefault(found => found is not null) ?? Restore();

        // TorchSharp looks its libraries up by name, and a library that is already loaded is found first.
        foreach (var library in Libraries)
        {
            var path = Path.Combine(folder, FileNameOf(library));
            if (File.Exists(path) && !NativeLibrary.TryLoad(path, out _))
                return;
        }
    }

    private static string FileNameOf(string library) => OperatingSystem.IsWindows() ? library + ".dll"
        : OperatingSystem.IsMacOS() ? $"lib{library}.dylib"
        : $"lib{library}.so";

    /// <summary>The folders in which NuGet keeps packages: its cache, and the fallback folders of the environment.</summary>
    private static IEnumerable<string> PackageFolders()
    {
        var fallback = Environment.GetEnvironmentVariable("NUGET_FALLBACK_PACKAGES") ?? "";
        return fallback.Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries)
            .Prepend(Environment.GetEnvironmentVariable("NUGET_PACKAGES") is { Length: > 0 } folder
                ? folder
                : Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".nuget", "packages"));
    }

    private static string? Find(string packages)
    {
        var platform = Package["libtorch-cpu-".Length..];
        var folder = Path.Combine(packages, Package, Version, "runtimes", platform, "native");
        return File.Exists(Path.Combine(folder, FileNameOf("torch_cpu"))) ? folder : null;
    }

    private static string Restore()
    {
        Screen.WriteNote($"Getting {Package} {Version}, once (about 120 MB)...");
        var project = Directory.CreateTempSubdirectory("mlflood-");
        try
        {
            File.WriteAllText(Path.Combine(project.FullName, "libtorch.csproj"), $"""
                <Project Sdk="Microsoft.NET.Sdk">
                  <PropertyGroup><TargetFramework>net10.0</TargetFramework></PropertyGroup>
                  <ItemGroup><PackageReference Include="{Package}" Version="{Version}" /></ItemGroup>
                </Project>
                """);
            var start = new ProcessStartInfo("dotnet", ["restore", "libtorch.csproj", "--nologo"])
            {
                WorkingDirectory = project.FullName,
                RedirectStandardOutput = true,
            };
            using var restore = Process.Start(start) ?? throw new Failure("'dotnet' cannot be started. Install the .NET SDK.");
            var output = restore.StandardOutput.ReadToEnd();
            restore.WaitForExit();
            if (restore.ExitCode == 0)
            {
                using var assets = JsonDocument.Parse(File.ReadAllText(Path.Combine(project.FullName, "obj", "project.assets.json")));
                foreach (var folder in assets.RootElement.GetProperty("packageFolders").EnumerateObject())
                {
                    if (Find(folder.Name) is { } found)
                        return found;
                }
            }
            throw new Failure(
                $"The package {Package} {Version} cannot be restored from your package sources. {output.Trim()} Add a source that has it, "
                + $"or set {Variable} to a folder with the libraries of libtorch {Version}.");
        }
        finally
        {
            project.Delete(recursive: true);
        }
    }
}

/// <summary>What the build recorded in the assembly.</summary>
internal static class BuildInformation
{
    public static string Of(string key) => typeof(BuildInformation).Assembly.GetCustomAttributes<AssemblyMetadataAttribute>()
        .Single(attribute => attribute.Key == key).Value!;
}
