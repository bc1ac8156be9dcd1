namespace Microsoft.ML.Flooding.Networks;

/// <summary>The number of channels of a layer whose width is multiplied.</summary>
internal static class Channels
{
    private const int Divisor = 8;

    /// <summary>The nearest multiple of 8, at least 8 and not more than a tenth below the exact number, as MobileNet's authors round.</summary>
    public static int Scale(double channels, double multiplier = 1)
    {
        var exact = channels * multiplier;
        var rounded = Math.Max(Divisor, (int)(exact + (Divisor / 2)) / Divisor * Divisor);
        return rounded < 0.9 * exact ? rounded + Divisor : rounded;
    }
}
