using System.IO.Compression;
using Common;

namespace Microsoft.ML.Flooding.Benchmarks.Photos;

/// <summary>
/// A set of photos with a folder for each class: the classes of train/ and test/ if the set has these folders, otherwise a stratified
/// fifth of the photos of each class is the test set.
/// </summary>
internal sealed class PhotoSet : IDisposable
{
    private const int SplitSeed = 1;
    private const double TestShare = 0.2;

    private readonly DirectoryInfo? _extracted;

    private PhotoSet(string name, IReadOnlyList<ImageFile> training, IReadOnlyList<ImageFile> test, DirectoryInfo? extracted) =>
        (Name, Training, Test, _extracted) = (name, training, test, extracted);

    public string Name { get; }

    public IReadOnlyList<ImageFile> Training { get; }

    public IReadOnlyList<ImageFile> Test { get; }

    /// <summary>Opens a folder or a .zip file, which is extracted to a temporary folder.</summary>
    /// <exception cref="InvalidDataException">The set contains no photos in folders of classes.</exception>
    public static PhotoSet Open(FileSystemInfo source)
    {
        var name = Path.GetFileNameWithoutExtension(source.Name);
        if (source is DirectoryInfo folder)
            return Open(name, folder, extracted: null);
        var temporary = Directory.CreateTempSubdirectory("photos-");
        try
        {
            ZipFile.ExtractToDirectory(source.FullName, temporary.FullName);
            return Open(name, temporary, temporary);
        }
        catch
        {
            temporary.Delete(recursive: true);
            throw;
        }
    }

    /// <summary>Draws training photos and labels.</summary>
    /// <param name="perClass">The photos of each class; null: all.</param>
    /// <param name="noise">The share of the photos that get the label of another class, in [0, 1).</param>
    /// <param name="seed">The seed of the draw.</param>
    public IReadOnlyList<ImageFile> Draw(int? perClass, double noise, int seed)
    {
        var random = new Random(seed);
        var classes = Training.Select(photo => photo.Label).Distinct().ToArray();
        var drawn = new List<ImageFile>();
        foreach (var label in classes)
            drawn.AddRange(Shuffle(random, Training.Where(photo => photo.Label == label)).Take(perClass ?? int.MaxValue));
        var photos = Shuffle(random, drawn);
        var wrong = (int)Math.Round(photos.Length * noise);
        // The order is random: the first photos are a sample.
        return
        [
            .. photos.Select((photo, i) => i >= wrong ? photo : new ImageFile
            {
                ImagePath = photo.ImagePath,
                Label = random.GetItems(classes.Where(label => label != photo.Label).ToArray(), 1)[0],
            }),
        ];
    }

    public void Dispose() => _extracted?.Delete(recursive: true);

    private static PhotoSet Open(string name, DirectoryInfo folder, DirectoryInfo? extracted)
    {
        var training = new DirectoryInfo(Path.Combine(folder.FullName, "train"));
        var test = new DirectoryInfo(Path.Combine(folder.FullName, "test"));
        if (training.Exists && test.Exists)
            return new PhotoSet(name, List(training), List(test), extracted);
        var random = new Random(SplitSeed);
        var ofClasses = List(folder).GroupBy(photo => photo.Label)
            .Select(photos => (Photos: Shuffle(random, photos), Test: (int)Math.Round(photos.Count() * TestShare))).ToArray();
        return new PhotoSet(
            name, [.. ofClasses.SelectMany(c => c.Photos.Skip(c.Test))], [.. ofClasses.SelectMany(c => c.Photos.Take(c.Test))], extracted);
    }

    private static ImageFile[] List(DirectoryInfo folder)
    {
        var context = new MLContext();
        return [.. context.Data.CreateEnumerable<ImageFile>(context.Data.LoadFromImageFolder(folder.FullName), reuseRowObject: false)];
    }

    private static ImageFile[] Shuffle(Random random, IEnumerable<ImageFile> photos)
    {
        ImageFile[] shuffled = [.. photos];
        random.Shuffle(shuffled);
        return shuffled;
    }
}
