namespace Microsoft.ML.Flooding.Runtime;

/// <summary>The folders that downloads go to by default.</summary>
internal static class CacheFolder
{
    /// <summary>A folder of that name in Microsoft.ML.Flooding in the user's local application data. It may not exist.</summary>
    public static string Of(string name)
    {
        var data = Environment.GetFolderPath(
            Environment.SpecialFolder.LocalApplicationData, Environment.SpecialFolderOption.DoNotVerify);
        return Path.Combine(data.Length > 0 ? data : Path.GetTempPath(), "Microsoft.ML.Flooding", name);
    }
}
