namespace Common;

/// <summary>A row of LoadFromImageFolder: an image file and its class.</summary>
public sealed class ImageFile
{
    public string ImagePath { get; set; } = "";

    public string Label { get; set; } = "";
}
