namespace Microsoft.ML.Flooding.Benchmarks;

/// <summary>The sample of Fashion-MNIST that the repository has.</summary>
internal static class Sample
{
    /// <param name="context">The context.</param>
    /// <param name="part">train or t10k.</param>
    public static IDataView Load(MLContext context, string part) => context.Data.LoadFromIdx(PathOf($"{part}-images-idx3-ubyte.gz"), PathOf($"{part}-labels-idx1-ubyte.gz"));

    private static string PathOf(string file) => Path.Combine(AppContext.BaseDirectory, "data", file);
}
