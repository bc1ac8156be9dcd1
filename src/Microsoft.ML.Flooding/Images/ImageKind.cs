namespace Microsoft.ML.Flooding.Images;

/// <summary>The forms in which a column can hold images.</summary>
internal enum ImageKind
{
    /// <summary>Variable-length Vector&lt;Byte&gt;: a JPEG, PNG, WebP, GIF or BMP file.</summary>
    Encoded,

    /// <summary><see cref="Data.MLImage"/>.</summary>
    Bitmap,

    /// <summary>Known-size Vector&lt;Byte&gt;: pixels, height x width x channels.</summary>
    Bytes,

    /// <summary>Known-size Vector&lt;Single&gt;: pixels, height x width x channels.</summary>
    Values,
}
