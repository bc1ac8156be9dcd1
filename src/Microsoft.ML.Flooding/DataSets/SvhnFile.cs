using System.Globalization;

namespace Microsoft.ML.Flooding.DataSets;

/// <summary>
/// A file of SVHN's cropped digits: the array X, bytes [32, 32, 3, N], and the array y with N labels, 1 to 10 (10 is the digit 0).
/// </summary>
internal static class SvhnFile
{
    private const int Side = 32;
    private const int Channels = 3;
    private const int Classes = 10;

    /// <exception cref="InvalidDataException">The file is malformed; the message names it.</exception>
    public static IDataView Read(DataOperationsCatalog catalog, string path)
    {
        var arrays = MatFile.Read(path, "X", "y");
        var (images, labels) = (arrays["X"], arrays["y"]);
        if (!images.IsBytes || images.Dimensions is not [Side, Side, Channels, ..] || images.Dimensions.Length > 4)
            throw new InvalidDataException(
                $"'{path}': X must be bytes of {Side} x {Side} x {Channels} x N, but is {string.Join(" x ", images.Dimensions)}.");
        var count = images.Dimensions.ElementAtOrDefault(3) is > 0 and var given ? given : 1;
        if (labels.Dimensions.Aggregate((product, size) => product * size) != count)
            throw new InvalidDataException(
                $"'{path}': X has {count} images, but y has {string.Join(" x ", labels.Dimensions)} labels.");
        LabeledPixels[] rows = [.. Enumerable.Range(0, count).Select(i => new LabeledPixels(PixelsOf(images.Bytes, i), LabelOf(i)))];
        return LabeledPixels.ToDataView(
            catalog, rows, [Side, Side, Channels],
            [.. Enumerable.Range(0, Classes).Select(digit => digit.ToString(CultureInfo.InvariantCulture))]);

        uint LabelOf(int index)
        {
            var label = labels.Value(index);
            return label is >= 1 and <= Classes && label == Math.Floor(label)
                ? (uint)label % Classes
                : throw new InvalidDataException(string.Create(
                    CultureInfo.InvariantCulture, $"'{path}': label {index} of y is {label}, but must be 1 to {Classes}."));
        }
    }

    /// <summary>The file has the rows of a column next to each other, and a plane for each channel.</summary>
    private static byte[] PixelsOf(byte[] values, int index)
    {
        var pixels = new byte[Side * Side * Channels];
        var source = index * pixels.Length;
        for (var channel = 0; channel < Channels; channel++)
        {
            for (var column = 0; column < Side; column++)
            {
                for (var row = 0; row < Side; row++)
                    pixels[(((row * Side) + column) * Channels) + channel] = values[source++];
            }
        }
        return pixels;
    }
}
