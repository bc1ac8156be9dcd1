namespace ImageFolder;

/// <summary>The model's input: the bytes of an image file and its class.</summary>
internal sealed class ModelInput
{
    public string Label { get; set; } = "";

    public byte[] Features { get; set; } = [];
}
