using Microsoft.ML;

namespace BringYourOwnModel;

/// <summary>The real images that come with the samples: 2,000 to train on, 1,000 to test on.</summary>
internal static class FashionMnist
{
    private static readonly string[] Classes =
        ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"];

    public static IDataView Train(MLContext context) => Load(context, "train");

    public static IDataView Test(MLContext context) => Load(context, "t10k");

    private static IDataView Load(MLContext context, string part)
    {
        string File(string kind) => Path.Combine(AppContext.BaseDirectory, "data", $"{part}-{kind}-ubyte.gz");
        return context.Data.LoadFromIdx(File("images-idx3"), File("labels-idx1"), Classes);
    }
}
