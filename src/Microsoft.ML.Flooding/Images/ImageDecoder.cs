using System.Reflection;

namespace Microsoft.ML.Flooding;

/// <summary>
/// Decodes image files in formats that this library does not read itself. The package Microsoft.ML.Flooding.Magick has one; an application
/// that references the package calls nothing.
/// </summary>
/// <remarks>An instance is used by many threads at the same time.</remarks>
public abstract class ImageDecoder
{
    /// <summary>The name of the package, and of its assembly.</summary>
    internal const string Package = "Microsoft.ML.Flooding.Magick";

    private static readonly Lazy<ImageDecoder?> OfPackage = new(Load);

    /// <summary>The decoder of the package; null if the application does not reference it.</summary>
    internal static ImageDecoder? Installed => OfPackage.Value;

    /// <summary>Whether this decoder reads a format.</summary>
    /// <param name="mediaType">The media type of the format, such as image/heic.</param>
    public abstract bool CanDecode(string mediaType);

    /// <summary>Reads the size of the upright image in pixels without decoding it.</summary>
    /// <param name="file">The file.</param>
    /// <param name="mediaType">A media type for which <see cref="CanDecode"/> is true.</param>
    /// <exception cref="InvalidDataException">The file is damaged; the message says how.</exception>
    public abstract (int Width, int Height) ReadSize(ReadOnlySpan<byte> file, string mediaType);

    /// <summary>Decodes the upright image. Colors are sRGB and not multiplied by alpha.</summary>
    /// <param name="file">The file.</param>
    /// <param name="mediaType">A media type for which <see cref="CanDecode"/> is true.</param>
    /// <param name="rgba">The pixels to write, [H, W, 4], of the size that <see cref="ReadSize"/> returns.</param>
    /// <exception cref="InvalidDataException">The file is damaged, or its image has another size.</exception>
    public abstract void Decode(ReadOnlySpan<byte> file, string mediaType, Span<byte> rgba);

    // An application that only references the package loads none of its types, so no code of the package would run by itself.
    private static ImageDecoder? Load()
    {
        Assembly assembly;
        try
        {
            assembly = Assembly.Load(Package);
        }
        catch (FileNotFoundException)
        {
            return null;
        }
        var type = assembly.GetExportedTypes().Single(type => type.IsSubclassOf(typeof(ImageDecoder)));
        return (ImageDecoder)Activator.CreateInstance(type)!;
    }
}
