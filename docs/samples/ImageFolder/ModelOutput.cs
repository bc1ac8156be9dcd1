namespace ImageFolder;

/// <summary>The model's prediction for an image.</summary>
internal sealed class ModelOutput
{
    public string Class { get; set; } = "";

    public float[] Score { get; set; } = [];
}
