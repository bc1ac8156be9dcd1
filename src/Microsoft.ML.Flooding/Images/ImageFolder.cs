using System.IO.Enumeration;

namespace Microsoft.ML.Flooding.Images;

/// <summary>A folder that has a subfolder of images for each class.</summary>
/// <param name="Path">The full path of the folder.</param>
/// <param name="Images">The images, ordered by class and then by path.</param>
/// <param name="EmptyClasses">The names of the subfolders without images.</param>
internal sealed record ImageFolder(string Path, IReadOnlyList<LabeledImage> Images, IReadOnlyList<string> EmptyClasses)
{
    private static readonly HashSet<string> Extensions = new(
        [
            ".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp",
            // Microsoft.ML.Flooding.Magick reads these; without it, the error names the package.
            ".heic", ".heif", ".hif", ".avif", ".tif", ".tiff", ".jp2", ".j2k", ".jpf", ".jpx", ".jpc", ".jxl",
        ],
        StringComparer.OrdinalIgnoreCase);

    private static readonly HashSet<string> Parts = new(
        ["train", "training", "val", "valid", "validation", "dev", "test", "testing"], StringComparer.OrdinalIgnoreCase);

    /// <summary>Lists the images of a folder and checks that they can be the classes of a training set.</summary>
    /// <param name="path">The folder, relative to the current directory or absolute.</param>
    /// <exception cref="DirectoryNotFoundException">The folder does not exist.</exception>
    /// <exception cref="UnauthorizedAccessException">The folder, or a folder in it, cannot be read.</exception>
    /// <exception cref="InvalidDataException">The files are not arranged in classes.</exception>
    public static ImageFolder Read(string path)
    {
        var root = System.IO.Path.TrimEndingDirectorySeparator(System.IO.Path.GetFullPath(path));
        if (File.Exists(root))
            throw new DirectoryNotFoundException(
                $"'{root}' is a file, not a folder. If it is an archive, unpack it, and give the folder "
                + "that has a subfolder for each class.");
        if (!Directory.Exists(root))
            throw new DirectoryNotFoundException($"The folder '{root}' does not exist. Give a folder that has a subfolder for each class.");

        ThrowIfUnlabeled(root, Files(root, isRecursive: false));
        var images = new List<LabeledImage>();
        var empty = new List<string>();
        foreach (var folder in Folders(root).OrderBy(System.IO.Path.GetFileName, StringComparer.Ordinal))
        {
            var label = System.IO.Path.GetFileName(folder);
            var count = images.Count;
            images.AddRange(Files(folder, isRecursive: true)
                .OrderBy(Portable, StringComparer.Ordinal)
                .Select(file => new LabeledImage { Label = label, ImagePath = file }));
            if (images.Count == count)
                empty.Add(label);
        }
        ThrowIfNotClasses(root, images);
        return new ImageFolder(root, images, empty);
    }

    /// <summary>The path with one kind of separator, so that the order is the same on every platform.</summary>
    private static string Portable(string path) => path.Replace(System.IO.Path.DirectorySeparatorChar, '/');

    private static void ThrowIfUnlabeled(string root, List<string> files)
    {
        if (files.Count > 0)
            throw new InvalidDataException(
                $"The folder '{root}' has "
                + (files.Count == 1 ? "an image that is in no subfolder" : $"{files.Count} images in no subfolder")
                + $", such as '{System.IO.Path.GetFileName(files.Min(StringComparer.Ordinal))}'. The name of the subfolder is the class: "
                + "move "
                + "each image into the subfolder of its class.");
    }

    private static void ThrowIfNotClasses(string root, List<LabeledImage> images)
    {
        string[] classes = [.. images.Select(image => image.Label).Distinct()];
        if (classes.Length == 0)
            throw new InvalidDataException(
                $"The folder '{root}' has no images in subfolders. Put the images of each class into a subfolder "
                + "with the name of the class. "
                + $"Images are files that end in {string.Join(", ", Extensions)}.");
        if (classes.All(Parts.Contains))
        {
            var training = classes.FirstOrDefault(name => name.StartsWith("train", StringComparison.OrdinalIgnoreCase), classes[0]);
            throw new InvalidDataException(
                $"The subfolders of '{root}' with images are {string.Join(" and ", classes.Select(name => $"'{name}'"))}: these are "
                + "the parts "
                + $"of a split, not classes. Load each part by itself, such as '{System.IO.Path.Combine(root, training)}'.");
        }
        if (classes.Length > 1)
            return;

        string[] below = [.. Folders(System.IO.Path.Combine(root, classes[0])).Select(folder => $"'{System.IO.Path.GetFileName(folder)}'")];
        throw new InvalidDataException(
            $"The folder '{root}' has only one class, '{classes[0]}'. A classifier needs at least two: a subfolder of images for each. "
            + (below.Length > 1
                ? $"If {string.Join(", ", below.Order(StringComparer.Ordinal))} are the classes, load "
                    + $"'{System.IO.Path.Combine(root, classes[0])}'."
                : ""));
    }

    private static List<string> Files(string folder, bool isRecursive) => List(
        folder, isRecursive, (ref FileSystemEntry entry) => !entry.IsDirectory && Extensions.Contains(
            System.IO.Path.GetExtension(entry.FileName).ToString()));

    private static List<string> Folders(string folder) => List(folder, false, (ref FileSystemEntry entry) => entry.IsDirectory);

    private static List<string> List(string folder, bool isRecursive, FileSystemEnumerable<string>.FindPredicate predicate)
    {
        var options = new EnumerationOptions
        {
            AttributesToSkip = FileAttributes.Hidden | FileAttributes.System,
            IgnoreInaccessible = false,
            RecurseSubdirectories = isRecursive,
        };
        try
        {
            return
            [
                .. new FileSystemEnumerable<string>(folder, (ref FileSystemEntry entry) => entry.ToFullPath(), options)
                {
                    ShouldIncludePredicate = predicate,
                    // A link may lead back to a folder above it.
                    ShouldRecursePredicate = (ref FileSystemEntry entry) => !entry.Attributes.HasFlag(FileAttributes.ReparsePoint),
                },
            ];
        }
        catch (Exception e) when (e is UnauthorizedAccessException or System.Security.SecurityException)
        {
            throw new UnauthorizedAccessException(
                $"The folder '{folder}' cannot be read: {e.Message} Give the user who runs this program permission to read it.", e);
        }
    }
}

/// <summary>An image file and its class.</summary>
internal sealed class LabeledImage
{
    public string Label { get; set; } = "";

    public string ImagePath { get; set; } = "";
}
