namespace Microsoft.ML.Flooding;

/// <summary>
/// Weights trained on ImageNet's 1.3 million photos of 1,000 classes, to start from. Nothing is downloaded but by
/// <see cref="PretrainedModel.Download"/>.
/// </summary>
/// <remarks>
/// Addresses, preparation and accuracies are those that torchvision publishes in its source (torchvision.models); lengths and digests were
/// compared with independent copies of the files. torchvision is under the BSD 3-Clause license. Of the weights it says that they may have
/// terms of their own, which follow from the images; ImageNet's are for research and education: whether that binds your use is for you to judge.
/// </remarks>
public static class PretrainedModels
{
    private const string Bsd = "BSD-3-Clause";

    /// <summary>ResNet-18, 45 MB: the first choice for some hundred photos on a CPU.</summary>
    public static PretrainedModel ResNet18 { get; } = TorchVision(
        "resnet18-f37072fd.pth", Architecture.ResNet18, 46_830_571, "f37072fd47e89c5e827621c5baffa7500819f7896bbacec160b1a16c560e07ec", 256, 0.69758);

    /// <summary>ResNet-34, 83 MB.</summary>
    public static PretrainedModel ResNet34 { get; } = TorchVision(
        "resnet34-b627a593.pth", Architecture.ResNet34, 87_319_819, "b627a593bcbe140c234610266fe4f8ae95ea42fc881d091c9b6052e6b1d0590f", 256, 0.73314);

    /// <summary>ResNet-50, 98 MB, by torchvision's recipe of 2021.</summary>
    public static PretrainedModel ResNet50 { get; } = TorchVision(
        "resnet50-11ad3fa6.pth", Architecture.ResNet50, 102_540_417, "11ad3fa62ca79e40addfd354a8ec4b7c75143b3038b8d2a807fbc68deab379ca", 232, 0.80858);

    /// <summary>ResNet-50, 98 MB, by the recipe of its paper.</summary>
    public static PretrainedModel ResNet50V1 { get; } = TorchVision(
        "resnet50-0676ba61.pth", Architecture.ResNet50, 102_530_333, "0676ba61b6795bbe1773cffd859882e5e297624d384b6993f7c9e683e722fb8a", 256, 0.76130);

    /// <summary>MobileNetV2, 14 MB, by torchvision's recipe of 2021.</summary>
    public static PretrainedModel MobileNetV2 { get; } = TorchVision(
        "mobilenet_v2-7ebf99e0.pth", Architecture.MobileNetV2, 14_258_573, "7ebf99e03e254b273379b23edca7ec0da9f48273b23a332b93c1c99d49e86e8f", 232, 0.72154);

    /// <summary>The small MobileNetV3, 10 MB.</summary>
    public static PretrainedModel MobileNetV3Small { get; } = TorchVision(
        "mobilenet_v3_small-047dcff4.pth", Architecture.MobileNetV3Small, 10_306_551, "047dcff4addef86ea5bc2eff13c9614dc11f47ab1160d0a71a25e7db994f4e1f", 256, 0.67668);

    /// <summary>The large MobileNetV3, 22 MB, by torchvision's recipe of 2021.</summary>
    public static PretrainedModel MobileNetV3Large { get; } = TorchVision(
        "mobilenet_v3_large-5c1a4163.pth", Architecture.MobileNetV3Large, 22_132_113, "5c1a416349c4cf298f2a6a5e2600ed0ee55e604713578f5e74e6bc8bcaef7997", 232, 0.75274);

    /// <summary>EfficientNet-B0, 21 MB.</summary>
    public static PretrainedModel EfficientNetB0 { get; } = TorchVision(
        "efficientnet_b0_rwightman-7f5810bc.pth", Architecture.EfficientNetB0, 21_444_401, "7f5810bc96def8f7552d5b7e68d53c4786f81167d28291b21c0d90e1fca14934", 256, 0.77692);

    /// <summary>ConvNeXt-T, 114 MB: the most accurate of these, and the slowest.</summary>
    public static PretrainedModel ConvNeXtTiny { get; } = TorchVision(
        "convnext_tiny-983f1562.pth", Architecture.ConvNeXtTiny, 114_419_221, "983f1562536e84ff750a1576fb08e54de751dbf2e17c0d8a4a13704341fdcd3d", 236, 0.82520);

    /// <summary>All of them.</summary>
    public static IReadOnlyList<PretrainedModel> All { get; } =
        [ResNet18, ResNet34, ResNet50, ResNet50V1, MobileNetV2, MobileNetV3Small, MobileNetV3Large, EfficientNetB0, ConvNeXtTiny];

    /// <summary>The folder that files are downloaded to: Microsoft.ML.Flooding/weights in the user's local application data.</summary>
    public static string DefaultFolder => Path.Combine(
        Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData, Environment.SpecialFolderOption.DoNotVerify) is { Length: > 0 } data ? data : Path.GetTempPath(),
        "Microsoft.ML.Flooding", "weights");

    /// <summary>The one that a file is, by its name and length; null: none of them.</summary>
    internal static PretrainedModel? Find(string path) =>
        All.FirstOrDefault(model => Path.GetFileName(path) == model.FileName && new FileInfo(path) is { Exists: true } file && file.Length == model.Bytes);

    private static PretrainedModel TorchVision(string file, Architecture architecture, long bytes, string sha256, int resize, double accuracy) => new()
    {
        Address = new Uri("https://download.pytorch.org/models/" + file),
        Bytes = bytes,
        Sha256 = sha256,
        Architecture = architecture,
        License = Bsd,
        Resize = resize,
        Crop = 224,
        ImageNetAccuracy = accuracy,
    };
}
