namespace Microsoft.ML.Flooding.Tests;

/// <summary>The path of a file that a test can write. Disposing deletes the file.</summary>
internal sealed class TemporaryFile(string extension) : IDisposable
{
    public string Path { get; } = System.IO.Path.Combine(System.IO.Path.GetTempPath(), System.IO.Path.GetRandomFileName() + extension);

    public void Dispose() => File.Delete(Path);
}
