namespace Microsoft.ML.Flooding.Tests;

/// <summary>The locations of the test files.</summary>
internal static class Fixtures
{
    /// <summary>A model of each format version, with its scores.</summary>
    public static string Models { get; } = Path.Combine(AppContext.BaseDirectory, "Fixtures", "models");

    /// <summary>Reference values from PyTorch. The environment variable FLOODING_ORACLE selects another folder of such files.</summary>
    public static string Oracle { get; } =
        Environment.GetEnvironmentVariable("FLOODING_ORACLE") is { Length: > 0 } folder
            ? folder
            : Path.Combine(AppContext.BaseDirectory, "Fixtures", "oracle");

    /// <summary>ONNX graphs of the model zoo, without their weights.</summary>
    public static string Onnx { get; } = Path.Combine(AppContext.BaseDirectory, "Fixtures", "onnx");

    /// <summary>2,000 training and 1,000 test images of Fashion-MNIST, as IDX files.</summary>
    public static string FashionMnist { get; } = Path.Combine(AppContext.BaseDirectory, "Fixtures", "fashion-mnist");

    /// <summary>A file in PyTorch's format.</summary>
    public static string Weights { get; } = Path.Combine(AppContext.BaseDirectory, "Fixtures", "weights");
}
