using Common;
using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Flooding;

namespace Noise;

/// <summary>A data set of the comparison.</summary>
/// <param name="Name">Its name in the tables.</param>
/// <param name="Shape">Height, width and channels of an image.</param>
/// <param name="Architecture">The network.</param>
/// <param name="Epochs">The epochs of a plain run.</param>
/// <param name="Partners">For each class, the class that it is confused with in noise between pairs.</param>
/// <param name="Pool">The images to draw training and validation images from.</param>
/// <param name="TestPool">The images to draw test images from.</param>
/// <param name="TrainingCount">The number of images to draw for training and validation; a tenth is for validation.</param>
/// <param name="TestCount">The number of test images to draw.</param>
internal sealed record NoisySet(
    string Name, int[] Shape, Architecture Architecture, int Epochs, IReadOnlyList<int> Partners, IReadOnlyList<Example> Pool,
    IReadOnlyList<Example> TestPool, int TrainingCount, int TestCount)
{
    // T-shirt, trouser, pullover, dress, coat, sandal, shirt, sneaker, bag, ankle boot.
    private static readonly int[] FashionPartners = [6, 3, 4, 4, 2, 7, 0, 9, 6, 7];

    // Airplane, automobile, bird, cat, deer, dog, frog, horse, ship, truck.
    private static readonly int[] CifarPartners = [2, 9, 0, 5, 7, 3, 3, 4, 0, 1];

    /// <summary>Fashion-MNIST, or another set in the format of MNIST.</summary>
    public static NoisySet Idx(IdxFolder folder, int testCount = 2000)
    {
        var context = new MLContext();
        return new NoisySet(
            "Fashion-MNIST", [28, 28, 1], Architecture.Mlp, 20, FashionPartners, Read(folder.LoadTrainingSet(context)),
            Read(folder.LoadTestSet(context)), 1000, testCount);

        Example[] Read(IDataView view) =>
        [
            .. view.GetColumn<byte[]>("Features").Zip(view.GetColumn<uint>("Label"), (pixels, label) =>
                new Example { Features = Array.ConvertAll(pixels, value => (float)value), Label = label - 1 }),
        ];
    }

    /// <summary>Features of a frozen network.</summary>
    public static NoisySet Features(string name, IReadOnlyList<Example> pool, IReadOnlyList<Example> test)
    {
        var classes = (int)pool.Max(example => example.Label) + 1;
        int[] partners = classes == CifarPartners.Length ? CifarPartners : [.. Enumerable.Range(0, classes).Select(c => (c + 1) % classes)];
        return new NoisySet(
            name, [1, pool[0].Features.Length, 1], Architecture.Mlp.WithHiddenSizes(500), 20, partners, pool, test,
            Math.Min(1000, pool.Count), Math.Min(2000, test.Count));
    }

    /// <summary>Draws the images of a seed and changes their labels.</summary>
    public Draw Draw(int seed, LabelNoise noise)
    {
        var random = new Random(seed);
        var images = Sample(Pool, TrainingCount, random);
        var test = Sample(TestPool, TestCount, random);
        var given = noise.Apply(images, this, random);
        var held = TrainingCount / 10;
        return new Draw(this, noise, seed, given[held..], given[..held], images[held..], test);
    }

    private static Example[] Sample(IReadOnlyList<Example> pool, int count, Random random)
    {
        Example[] shuffled = [.. pool];
        random.Shuffle(shuffled);
        return shuffled[..count];
    }
}

/// <summary>The images of one seed.</summary>
/// <param name="Set">The data set.</param>
/// <param name="Noise">How labels became wrong.</param>
/// <param name="Seed">The seed.</param>
/// <param name="Train">The training images, some with wrong labels.</param>
/// <param name="Validation">The validation images, some with wrong labels.</param>
/// <param name="Truth">The training images with their true labels.</param>
/// <param name="Test">The test images with their true labels.</param>
internal sealed record Draw(
    NoisySet Set, LabelNoise Noise, int Seed, IReadOnlyList<Example> Train, IReadOnlyList<Example> Validation,
    IReadOnlyList<Example> Truth, IReadOnlyList<Example> Test)
{
    /// <summary>Examples as a data view.</summary>
    public IDataView View(IReadOnlyList<Example> examples) => Example.View(examples, Set.Shape, Set.Partners.Count);
}
