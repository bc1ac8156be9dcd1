namespace Microsoft.ML.Flooding.Benchmarks;

/// <summary>The part of Fashion-MNIST in this repository.</summary>
internal static class Sample
{
    /// <param name="context">The ML.NET context.</param>
    /// <param name="part">train or t10k.</param>
    public static IDataView Load(MLContext context, string part) =>
        context.Data.LoadFromIdx(PathOf($"{part}-images-idx3-ubyte.gz"), PathOf($"{part}-labels-idx1-ubyte.gz"));

    private static string PathOf(string file) => Path.Combine(AppContext.BaseDirectory, "data", file);
}
