namespace ImageFolder;

/// <summary>What the model says of an image.</summary>
internal sealed class ModelOutput
{
    public string Class { get; set; } = "";

    public float[] Score { get; set; } = [];
}
