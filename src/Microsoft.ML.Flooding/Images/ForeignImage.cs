namespace Microsoft.ML.Flooding.Images;

/// <summary>Says what a file is that no decoder accepts.</summary>
internal static class ForeignImage
{
    /// <summary>What is wrong with the file, and what to do if its format is known.</summary>
    /// <param name="file">All of it, or its first 132 bytes at least.</param>
    public static string Describe(ReadOnlySpan<byte> file)
    {
        if (file.StartsWith("version https://git-lfs."u8))
            return "it is a Git LFS pointer, not the image: run 'git lfs pull'";
        if (file.TrimStart("\uFEFF \t\r\n"u8) is var text && (text.StartsWith("<!DOCTYPE"u8) || text.StartsWith("<html"u8)))
            return "it is a web page, not an image: download the image again";
        return FormatOf(file) is { } format
            ? $"it is a {format} file, a format that is not supported: convert it to JPEG or PNG"
            : "it is not a JPEG, PNG, WebP, GIF or BMP file, or it is damaged";
    }

    private static string? FormatOf(ReadOnlySpan<byte> file) => file switch
    {
        // ISO media files: the brand follows the type of the first box.
        [_, _, _, _, (byte)'f', (byte)'t', (byte)'y', (byte)'p', (byte)'a', (byte)'v', (byte)'i', _, ..] => "AVIF",
        [_, _, _, _, (byte)'f', (byte)'t', (byte)'y', (byte)'p', (byte)'h' or (byte)'m', (byte)'e' or (byte)'i' or (byte)'s', _, _, ..]
            => "HEIC",
        [(byte)'I', (byte)'I', 42, 0, ..] or [(byte)'M', (byte)'M', 0, 42, ..] => "TIFF",
        [0xFF, 0x0A, ..] or [0, 0, 0, 12, (byte)'J', (byte)'X', (byte)'L', (byte)' ', ..] => "JPEG XL",
        [0, 0, 0, 12, (byte)'j', (byte)'P', (byte)' ', (byte)' ', ..] => "JPEG 2000",
        [(byte)'8', (byte)'B', (byte)'P', (byte)'S', ..] => "Photoshop",
        [(byte)'%', (byte)'P', (byte)'D', (byte)'F', ..] => "PDF",
        [(byte)'<', (byte)'s', (byte)'v', (byte)'g', ..] or [(byte)'<', (byte)'?', (byte)'x', (byte)'m', (byte)'l', ..] => "SVG or XML",
        _ when file.Length >= 132 && file[128..132].SequenceEqual("DICM"u8) => "DICOM",
        _ => null,
    };
}
