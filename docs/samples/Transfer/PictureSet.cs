using Microsoft.ML;
using Microsoft.ML.Data;
using Microsoft.ML.Flooding;

namespace Transfer;

/// <summary>Images of ten classes, two of which are the new ones: what is learned after the other eight.</summary>
internal sealed class PictureSet
{
    private static readonly string[] FashionClasses =
        ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"];

    private readonly MLContext _context = new(seed: 1);
    private readonly DataViewType _imageType;

    private PictureSet(string name, Architecture network, DataViewType imageType, Picture[] train, Picture[] test, IReadOnlyList<string> newClasses)
    {
        var unknown = newClasses.Except(train.Select(p => p.Class)).ToArray();
        if (unknown.Length > 0)
            throw new ArgumentException($"{name} has no class {string.Join(", ", unknown)}; it has {string.Join(", ", train.Select(p => p.Class).Distinct().Order())}.");
        (Name, Network, _imageType, Train, Test, NewClasses) = (name, network, imageType, train, test, newClasses);
    }

    public string Name { get; }

    /// <summary>The network for images of this size: narrow, so that everything takes minutes on two cores.</summary>
    public Architecture Network { get; }

    public IReadOnlyList<string> NewClasses { get; }

    public IReadOnlyList<Picture> Train { get; }

    public IReadOnlyList<Picture> Test { get; }

    /// <summary>Fashion-MNIST's sample: 2,000 training and 1,000 test images.</summary>
    public static PictureSet FashionMnist(IReadOnlyList<string> newClasses)
    {
        var context = new MLContext();
        var imageType = new VectorDataViewType(NumberDataViewType.Byte, 28, 28, 1);
        return new PictureSet("Fashion-MNIST", Architecture.ConvNet.WithBaseWidth(8), imageType, Load("train"), Load("t10k"), newClasses);

        Picture[] Load(string part)
        {
            string File(string kind) => Path.Combine(AppContext.BaseDirectory, "data", $"{part}-{kind}-ubyte.gz");
            var view = context.Data.LoadFromIdx(File("images-idx3"), File("labels-idx1"));
            return [.. view.GetColumn<byte[]>("Features").Zip(view.GetColumn<uint>("Label"), (pixels, key) => new Picture { Features = pixels, Class = FashionClasses[key - 1] })];
        }
    }

    /// <summary>CIFAR-10 as JPEG files in train/CLASS and test/CLASS.</summary>
    /// <param name="folder">With the folders train and test.</param>
    /// <param name="perClass">The training images of a class that are used, and the most of its test images.</param>
    /// <param name="newClasses">The two that are learned last.</param>
    public static PictureSet Cifar10(DirectoryInfo folder, int perClass, IReadOnlyList<string> newClasses)
    {
        return new PictureSet(
            "CIFAR-10", Architecture.ConvNet.WithBaseWidth(16), new VectorDataViewType(NumberDataViewType.Byte), Load("train"), Load("test"), newClasses);

        Picture[] Load(string part) =>
            [.. new DirectoryInfo(Path.Combine(folder.FullName, part)).EnumerateDirectories()
                .SelectMany(d => d.EnumerateFiles("*.jpg").OrderBy(f => f.Name, StringComparer.Ordinal).Take(perClass))
                .Select(f => new Picture { Features = File.ReadAllBytes(f.FullName), Class = f.Directory!.Name })];
    }

    public bool IsNew(Picture picture) => NewClasses.Contains(picture.Class);

    /// <summary>The pictures as rows with the columns Features and Label.</summary>
    public IDataView View(IEnumerable<Picture> pictures)
    {
        var schema = SchemaDefinition.Create(typeof(Picture));
        schema[nameof(Picture.Features)].ColumnType = _imageType;
        var rows = _context.Data.LoadFromEnumerable(pictures, schema);
        return _context.Transforms.Conversion.MapValueToKey("Label", nameof(Picture.Class)).Fit(rows).Transform(rows);
    }
}
