namespace ImageFolder;

/// <summary>A row of the data: an encoded image and its class.</summary>
internal sealed class ModelInput
{
    public string Label { get; set; } = "";

    public byte[] Image { get; set; } = [];
}
