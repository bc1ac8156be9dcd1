namespace Photos;

/// <summary>What the model reads, the bytes of a file, and what it predicts.</summary>
internal sealed class Photo
{
    public string Label { get; set; } = "";

    public string ImagePath { get; set; } = "";

    public byte[] Features { get; set; } = [];
}

/// <summary>The prediction for a photo.</summary>
internal sealed class Prediction
{
    public string Class { get; set; } = "";

    public float[] Score { get; set; } = [];
}
