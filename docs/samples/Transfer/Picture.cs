namespace Transfer;

/// <summary>An image, as pixels or as the bytes of a file, and its class.</summary>
internal sealed class Picture
{
    public string Class { get; set; } = "";

    public byte[] Features { get; set; } = [];
}
