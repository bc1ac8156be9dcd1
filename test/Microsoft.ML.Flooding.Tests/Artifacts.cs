namespace Microsoft.ML.Flooding.Tests;

/// <summary>The files that tests leave behind for people to look at.</summary>
internal static class Artifacts
{
    public static string Repository { get; } = FindRepository();

    public static string Folder(string name) => Directory.CreateDirectory(Path.Combine(Repository, "artifacts", name)).FullName;

    private static string FindRepository()
    {
        var folder = new DirectoryInfo(AppContext.BaseDirectory);
        while (folder.GetFiles("Microsoft.ML.Flooding.sln").Length == 0)
            folder = folder.Parent ?? throw new InvalidOperationException("The tests run outside of the repository.");
        return folder.FullName;
    }
}
