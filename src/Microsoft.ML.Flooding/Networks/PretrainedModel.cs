using Microsoft.ML.Flooding.Runtime;

namespace Microsoft.ML.Flooding;

/// <summary>
/// A file of pretrained weights: what it contains and where to download it. <see cref="PretrainedModels"/> lists known files.
/// </summary>
/// <remarks>
/// To use a mirror: <c>PretrainedModels.ResNet18 with { Address = new Uri("https://mirror.example/resnet18-f37072fd.pth") }</c>. Describe a
/// file that is not listed in the same way.
/// </remarks>
public sealed record PretrainedModel
{
    /// <summary>The http or https address of the file. Its last part is the name of the file.</summary>
    public required Uri Address { get; init; }

    /// <summary>The length of the file, in bytes.</summary>
    public required long Bytes { get; init; }

    /// <summary>
    /// The SHA-256 of the file as hexadecimal digits, or at least its first eight digits, which torchvision puts into its file names.
    /// </summary>
    public required string Sha256 { get; init; }

    /// <summary>The network that the weights belong to, for <see cref="TrainingOptions.Architecture"/>.</summary>
    public required Architecture Architecture { get; init; }

    /// <summary>The license of the file as its publisher states it. The training images may have terms of their own.</summary>
    public required string License { get; init; }

    /// <summary>The length that the shorter side of an image is scaled to, in pixels.</summary>
    public required int Resize { get; init; }

    /// <summary>The side of the square that is cut from the center, in pixels.</summary>
    public required int Crop { get; init; }

    /// <summary>The mean of each channel, red first, which is subtracted from values from 0 to 1. Default: that of ImageNet.</summary>
    public IReadOnlyList<float> Mean { get; init; } = Networks.Preprocessing.ImageNet.Mean;

    /// <summary>The standard deviation of each channel, which the difference is divided by. Default: that of ImageNet.</summary>
    public IReadOnlyList<float> Deviation { get; init; } = Networks.Preprocessing.ImageNet.Deviation;

    /// <summary>
    /// The published accuracy on ImageNet's validation images (1,000 classes), in [0, 1]; null if there is none.
    /// </summary>
    public double? ImageNetAccuracy { get; init; }

    /// <summary>The name of the file.</summary>
    public string FileName => File.FileName;

    internal RemoteFile File => new(Address, Bytes, Sha256);

    /// <summary>How images are prepared.</summary>
    internal Networks.Preprocessing Preprocessing => new(Crop, Crop, (double)Crop / Resize, [.. Mean], [.. Deviation]);

    /// <summary>
    /// Downloads the file to a folder and checks it. If the folder already has the correct file, nothing is downloaded. An interrupted
    /// download keeps what it has received, and the next call continues from there.
    /// </summary>
    /// <param name="folder">The folder, created if it does not exist. Default: <see cref="PretrainedModels.DefaultFolder"/>.</param>
    /// <param name="progress">Receives the progress after each part that arrives.</param>
    /// <param name="cancellationToken">Stops the download; the received part is kept.</param>
    /// <returns>The path of the file, for <see cref="TrainingOptions.PretrainedWeights"/>.</returns>
    /// <exception cref="ArgumentException">The address, the length or the digest is invalid.</exception>
    /// <exception cref="IOException">
    /// The file cannot be downloaded or written. The message gives the reason and the path to copy the file to by hand.
    /// </exception>
    /// <exception cref="InvalidDataException">The server sends a different file.</exception>
    /// <exception cref="OperationCanceledException">The download was canceled.</exception>
    public string Download(
        string? folder = null, IProgress<DownloadProgress>? progress = null, CancellationToken cancellationToken = default) =>
        DownloadAsync(folder, progress, cancellationToken).GetAwaiter().GetResult();

    /// <inheritdoc cref="Download"/>
    public Task<string> DownloadAsync(
        string? folder = null, IProgress<DownloadProgress>? progress = null, CancellationToken cancellationToken = default)
    {
        File.Validate();
        return new FileDownload(File, folder ?? PretrainedModels.DefaultFolder).RunAsync(progress, cancellationToken);
    }

    /// <summary>The file name.</summary>
    public override string ToString() => FileName;
}

/// <summary>
/// Weights trained on ImageNet, 1.3 million photos of 1,000 classes, to start training from. Only <see cref="PretrainedModel.Download"/>
/// downloads a file.
/// </summary>
/// <remarks>
/// Addresses, preprocessing and accuracies are those in torchvision's source (torchvision.models); lengths and digests were compared with
/// independent copies of the files. torchvision has the BSD 3-Clause license. It notes that the weights may have terms of their own,
/// derived from the images they were trained on; ImageNet's images are for research and education. Check whether these terms apply to your
/// use.
/// </remarks>
public static class PretrainedModels
{
    private const string Bsd = "BSD-3-Clause";

    /// <summary>ResNet-18, 45 MB: the first choice for a few hundred photos on a CPU.</summary>
    public static PretrainedModel ResNet18 { get; } = TorchVision(
        "resnet18-f37072fd.pth", Architecture.ResNet18, 46_830_571,
        "f37072fd47e89c5e827621c5baffa7500819f7896bbacec160b1a16c560e07ec", 256, 0.69758);

    /// <summary>ResNet-34, 83 MB.</summary>
    public static PretrainedModel ResNet34 { get; } = TorchVision(
        "resnet34-b627a593.pth", Architecture.ResNet34, 87_319_819,
        "b627a593bcbe140c234610266fe4f8ae95ea42fc881d091c9b6052e6b1d0590f", 256, 0.73314);

    /// <summary>ResNet-50, 98 MB, trained with torchvision's 2021 recipe.</summary>
    public static PretrainedModel ResNet50 { get; } = TorchVision(
        "resnet50-11ad3fa6.pth", Architecture.ResNet50, 102_540_417,
        "11ad3fa62ca79e40addfd354a8ec4b7c75143b3038b8d2a807fbc68deab379ca", 232, 0.80858);

    /// <summary>ResNet-50, 98 MB, trained with the recipe of its paper.</summary>
    public static PretrainedModel ResNet50V1 { get; } = TorchVision(
        "resnet50-0676ba61.pth", Architecture.ResNet50, 102_530_333,
        "0676ba61b6795bbe1773cffd859882e5e297624d384b6993f7c9e683e722fb8a", 256, 0.76130);

    /// <summary>MobileNetV2, 14 MB, trained with torchvision's 2021 recipe.</summary>
    public static PretrainedModel MobileNetV2 { get; } = TorchVision(
        "mobilenet_v2-7ebf99e0.pth", Architecture.MobileNetV2, 14_258_573,
        "7ebf99e03e254b273379b23edca7ec0da9f48273b23a332b93c1c99d49e86e8f", 232, 0.72154);

    /// <summary>The small MobileNetV3, 10 MB.</summary>
    public static PretrainedModel MobileNetV3Small { get; } = TorchVision(
        "mobilenet_v3_small-047dcff4.pth", Architecture.MobileNetV3Small, 10_306_551,
        "047dcff4addef86ea5bc2eff13c9614dc11f47ab1160d0a71a25e7db994f4e1f", 256, 0.67668);

    /// <summary>The large MobileNetV3, 22 MB, trained with torchvision's 2021 recipe.</summary>
    public static PretrainedModel MobileNetV3Large { get; } = TorchVision(
        "mobilenet_v3_large-5c1a4163.pth", Architecture.MobileNetV3Large, 22_132_113,
        "5c1a416349c4cf298f2a6a5e2600ed0ee55e604713578f5e74e6bc8bcaef7997", 232, 0.75274);

    /// <summary>EfficientNet-B0, 21 MB.</summary>
    public static PretrainedModel EfficientNetB0 { get; } = TorchVision(
        "efficientnet_b0_rwightman-7f5810bc.pth", Architecture.EfficientNetB0, 21_444_401,
        "7f5810bc96def8f7552d5b7e68d53c4786f81167d28291b21c0d90e1fca14934", 256, 0.77692);

    /// <summary>ConvNeXt-T, 114 MB: the most accurate of these, and the slowest.</summary>
    public static PretrainedModel ConvNeXtTiny { get; } = TorchVision(
        "convnext_tiny-983f1562.pth", Architecture.ConvNeXtTiny, 114_419_221,
        "983f1562536e84ff750a1576fb08e54de751dbf2e17c0d8a4a13704341fdcd3d", 236, 0.82520);

    /// <summary>All of them.</summary>
    public static IReadOnlyList<PretrainedModel> All { get; } =
        [ResNet18, ResNet34, ResNet50, ResNet50V1, MobileNetV2, MobileNetV3Small, MobileNetV3Large, EfficientNetB0, ConvNeXtTiny];

    /// <summary>The default download folder: Microsoft.ML.Flooding/weights in the user's local application data.</summary>
    public static string DefaultFolder => CacheFolder.Of("weights");

    /// <summary>The listed model that a file is, by its name and length; null if it is none of them.</summary>
    internal static PretrainedModel? Find(string path) => All.FirstOrDefault(model =>
        Path.GetFileName(path) == model.FileName && new FileInfo(path) is { Exists: true } file && file.Length == model.Bytes);

    private static PretrainedModel TorchVision(
        string file, Architecture architecture, long bytes, string sha256, int resize, double accuracy) => new()
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
