namespace Common;

/// <summary>An image file and its class, which is the name of its folder.</summary>
public sealed class ImageFile
{
    private static readonly string[] Extensions = [".jpg", ".jpeg", ".png"];

    public string ImagePath { get; set; } = "";

    public string Label { get; set; } = "";

    /// <summary>Finds the JPEG and PNG files of a folder that has one subfolder for each class, ordered by path.</summary>
    /// <exception cref="InvalidDataException">There are none.</exception>
    public static IReadOnlyList<ImageFile> FindAll(DirectoryInfo folder)
    {
        ImageFile[] files =
        [
            .. folder.EnumerateDirectories().SelectMany(directory => directory.EnumerateFiles())
                .Where(file => Extensions.Contains(file.Extension, StringComparer.OrdinalIgnoreCase))
                .OrderBy(file => file.FullName, StringComparer.Ordinal)
                .Select(file => new ImageFile { ImagePath = file.FullName, Label = file.Directory!.Name }),
        ];
        return files.Length > 0 ? files : throw new InvalidDataException(
            $"The folder '{folder.FullName}' has no images in subfolders. Put the .jpg, .jpeg and .png files of each class into "
            + "a subfolder with the name of the class.");
    }
}
