using System.Globalization;
using System.Text.RegularExpressions;

namespace Microsoft.ML.Flooding.Distribution;

/// <summary>The files of one run. The process of the Fit and the worker have the same, or share them.</summary>
/// <param name="path">The folder.</param>
internal sealed partial class RunFolder(string path)
{
    /// <summary>The <see cref="RunFile"/>.</summary>
    public const string Run = "run.safetensors";

    /// <summary>The snapshot that the run starts from, if it branches off another one.</summary>
    public const string Start = "start.safetensors";

    /// <summary>The <see cref="ResultFile"/>.</summary>
    public const string Result = "result.safetensors";

    private const string Part = ".part";
    private const int CheckpointsKept = 2;

    /// <summary>The folder.</summary>
    public string Path { get; } = Directory.CreateDirectory(path).FullName;

    /// <summary>The name of the newest checkpoint of a whole epoch; null if there is none.</summary>
    public string? Checkpoint => NamesOf("epoch-").LastOrDefault(name => EpochOf(name) > 0);

    /// <summary>The names of the snapshots that other runs branch off from, by epoch.</summary>
    public IReadOnlyList<string> Branches => NamesOf("branch-");

    /// <summary>The name of the snapshot before an epoch.</summary>
    public static string BranchAt(int epoch) => string.Create(CultureInfo.InvariantCulture, $"branch-{epoch:000000}.safetensors");

    /// <summary>The number of the epoch in the name of a checkpoint or branch.</summary>
    public static int EpochOf(string name) => int.Parse(EpochName().Match(name).Groups["epoch"].ValueSpan, CultureInfo.InvariantCulture);

    /// <summary>The path of a file.</summary>
    /// <exception cref="ArgumentException">A run has no file of this name.</exception>
    public string PathOf(string name) => name is Run or Start or Result || EpochName().IsMatch(name)
        ? System.IO.Path.Combine(Path, name)
        : throw new ArgumentException($"A run has no file '{name}'.", nameof(name));

    /// <summary>Adds bytes to a file that arrives in pieces. The file appears under its name with the last one.</summary>
    /// <exception cref="IOException">The piece does not follow the one before, or cannot be written.</exception>
    public void Receive(string name, long offset, ReadOnlySpan<byte> bytes, bool isLast)
    {
        var target = PathOf(name);
        using (var part = new FileStream(target + Part, offset == 0 ? FileMode.Create : FileMode.Open, FileAccess.Write))
        {
            if (part.Length < offset)
                throw new IOException($"A piece of '{target}' is missing.");
            part.Position = offset;
            part.Write(bytes);
        }
        if (!isLast)
            return;
        File.Move(target + Part, target, overwrite: true);
        foreach (var old in NamesOf("epoch-").Reverse().Skip(CheckpointsKept))
            File.Delete(PathOf(old));
    }

    private IReadOnlyList<string> NamesOf(string prefix) =>
    [
        .. Directory.EnumerateFiles(Path, prefix + "*.safetensors").Select(file => System.IO.Path.GetFileName(file))
            .Order(StringComparer.Ordinal),
    ];

    [GeneratedRegex(@"^(epoch|branch)-(?<epoch>\d{6})\.safetensors$")]
    private static partial Regex EpochName();
}
