namespace Microsoft.ML.Flooding.Images;

/// <summary>The part of an image that is brought to another size, in pixels.</summary>
internal readonly record struct SourceArea(int X, int Y, int Width, int Height)
{
    /// <summary>The area of an image that fills a target.</summary>
    /// <param name="width">Of the image.</param>
    /// <param name="height">Of the image.</param>
    /// <param name="centerCrop">
    /// The share of the longest possible side, in (0, 1], of a part with the target's proportions in the middle; null for the whole image, whatever
    /// its proportions.
    /// </param>
    /// <param name="targetWidth">Of the target.</param>
    /// <param name="targetHeight">Of the target.</param>
    public static SourceArea Of(int width, int height, double? centerCrop, int targetWidth, int targetHeight)
    {
        if (centerCrop is not { } share)
            return new SourceArea(0, 0, width, height);
        var scale = Math.Min((double)width / targetWidth, (double)height / targetHeight) * share;
        var (w, h) = (Math.Clamp((int)Math.Round(targetWidth * scale), 1, width), Math.Clamp((int)Math.Round(targetHeight * scale), 1, height));
        return new SourceArea((width - w) / 2, (height - h) / 2, w, h);
    }
}
