namespace Mlflood.Data;

/// <summary>An image with its label: a file, or the pixels of a data set.</summary>
internal sealed class ImageRow
{
    public string Label { get; set; } = "";

    /// <summary>The full path of the file; empty for pixels.</summary>
    public string FilePath { get; set; } = "";

    /// <summary>What the user knows the image by: the path within the data, or the number of the image.</summary>
    public string Name { get; set; } = "";

    /// <summary>The pixels of an image of a data set.</summary>
    public byte[] Pixels { get; set; } = [];

    /// <summary>The weight of the image, if the data has a column of them.</summary>
    public float Weight { get; set; } = 1;

    /// <summary>Images of one group stay together, if the data has a column of them.</summary>
    public string Group { get; set; } = "";
}
