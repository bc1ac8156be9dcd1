namespace Microsoft.ML.Flooding;

/// <summary>The two parts that the published data sets are divided into.</summary>
public enum DataSetPart
{
    /// <summary>The training images.</summary>
    Train,

    /// <summary>The test images.</summary>
    Test,
}
