using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Runtime;
using Microsoft.ML.Runtime;

namespace Microsoft.ML;

/// <summary>Loads a folder of images.</summary>
public static class ImageFolderCatalog
{
    /// <summary>
    /// Loads a folder that has a subfolder of images for each class into a view with the columns Label (text, the name of the subfolder),
    /// ImagePath (text, the full path) and Features (a variable-length vector of bytes: the content of the file).
    /// </summary>
    /// <param name="catalog">The data catalog.</param>
    /// <param name="path">
    /// The folder. Its subfolders are the classes; a class has at least one image, directly in it or in folders of its own.
    /// </param>
    /// <exception cref="DirectoryNotFoundException">The folder does not exist.</exception>
    /// <exception cref="UnauthorizedAccessException">The folder, or a folder in it, cannot be read.</exception>
    /// <exception cref="InvalidDataException">
    /// There are no images in subfolders, fewer than two classes, or images directly in the folder; or its subfolders are the parts of a
    /// split, such as train and test.
    /// </exception>
    /// <remarks>
    /// <para>
    /// An image is a file with the extension .jpg, .jpeg, .jpe, .jfif, .png, .webp, .gif or .bmp, or one of those that need the package
    /// Microsoft.ML.Flooding.Magick: .heic, .heif, .hif, .avif, .tif, .tiff, .jp2, .j2k, .jpf, .jpx, .jpc and .jxl. Other files, hidden
    /// files and hidden folders are left out. A subfolder without images is no class; it is named in a warning in the log.
    /// </para>
    /// <para>
    /// The rows are ordered by class and then by path within the class (ordinal), so they are the same on every machine. This method lists
    /// the files; their content is read when a cursor asks for Features.
    /// </para>
    /// </remarks>
    public static IDataView LoadFromImageFolder(this DataOperationsCatalog catalog, string path)
    {
        ArgumentNullException.ThrowIfNull(catalog);
        ArgumentException.ThrowIfNullOrEmpty(path);

        var environment = HostSettings.Of(catalog);
        var folder = ImageFolder.Read(path);
        if (folder.EmptyClasses.Count > 0)
        {
            using var channel = environment.Register(nameof(LoadFromImageFolder)).Start(nameof(LoadFromImageFolder));
            channel.Warning(
                MessageSensitivity.UserData,
                $"These subfolders of '{folder.Path}' have no images and are no classes: {string.Join(", ", folder.EmptyClasses)}.");
        }
        var files = catalog.LoadFromEnumerable(folder.Images);
        return new TransformsCatalog(environment).LoadRawImageBytes("Features", null, nameof(LabeledImage.ImagePath))
            .Fit(files).Transform(files);
    }
}
