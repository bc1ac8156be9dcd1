namespace Transfer;

/// <summary>An image and its class.</summary>
internal sealed class Picture
{
    public string Class { get; set; } = "";

    public byte[] Features { get; set; } = [];
}
