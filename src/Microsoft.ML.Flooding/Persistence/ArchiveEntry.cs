using System.IO.Compression;
using System.Runtime.CompilerServices;

namespace Microsoft.ML.Flooding.Persistence;

/// <summary>
/// Finds entries in the .zip that ML.NET reads. ML.NET's own methods copy each entry to a temporary file. For the weights, that takes longer
/// than reading, checking and keeping them.
/// </summary>
internal static class ArchiveEntry
{
    /// <summary>An entry in the folder of a model; null if there is none, or if this version of ML.NET keeps its entries elsewhere.</summary>
    public static ZipArchiveEntry? Find(ModelLoadContext context, string name)
    {
        if (context.Repository is not { } repository)
            return null;
        try
        {
            return EntriesOf(repository).GetValueOrDefault(Path.Combine(context.Directory ?? "", name));
        }
        catch (MissingFieldException)
        {
            return null;
        }
    }

    [UnsafeAccessor(UnsafeAccessorKind.Field, Name = "_entries")]
    private static extern ref Dictionary<string, ZipArchiveEntry> EntriesOf(RepositoryReader reader);
}
