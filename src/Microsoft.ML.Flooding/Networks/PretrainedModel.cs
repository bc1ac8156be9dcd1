using System.Globalization;

namespace Microsoft.ML.Flooding;

/// <summary>A file of weights that others have trained: what it is, and where to get it. <see cref="PretrainedModels"/> lists those that are known.</summary>
/// <remarks>
/// For a mirror, <c>PretrainedModels.ResNet18 with { Address = new Uri("https://mirror.example/resnet18-f37072fd.pth") }</c>. A file that the
/// list does not have can be described in the same way.
/// </remarks>
public sealed record PretrainedModel
{
    private const int FewestDigits = 8;

    /// <summary>Where the file is downloaded from, by http or https. Its last part is the name of the file.</summary>
    public required Uri Address { get; init; }

    /// <summary>The length of the file, in bytes.</summary>
    public required long Bytes { get; init; }

    /// <summary>The SHA-256 of the file as hexadecimal digits, or the first eight or more of them: torchvision has eight in its file names.</summary>
    public required string Sha256 { get; init; }

    /// <summary>The network that the weights are of: for <see cref="TrainingOptions.Architecture"/>.</summary>
    public required Architecture Architecture { get; init; }

    /// <summary>The license of the file as its publisher states it. The images that it was trained on may have terms of their own.</summary>
    public required string License { get; init; }

    /// <summary>The length that the shorter side of an image is scaled to, in pixels.</summary>
    public required int Resize { get; init; }

    /// <summary>The side of the square that is cut from the middle, in pixels.</summary>
    public required int Crop { get; init; }

    /// <summary>What is subtracted from each channel, red first, for values from 0 to 1.</summary>
    public IReadOnlyList<float> Mean { get; init; } = Networks.Preprocessing.ImageNet.Mean;

    /// <summary>What each channel is divided by then.</summary>
    public IReadOnlyList<float> Deviation { get; init; } = Networks.Preprocessing.ImageNet.Deviation;

    /// <summary>The share of ImageNet's validation images (1,000 classes) that are classified correctly, as published, in [0, 1]; null where it is not.</summary>
    public double? ImageNetAccuracy { get; init; }

    /// <summary>The name of the file.</summary>
    public string FileName => Path.GetFileName(Uri.UnescapeDataString(Address.AbsolutePath));

    /// <summary>How images are prepared.</summary>
    internal Networks.Preprocessing Preprocessing => new(Crop, Crop, (double)Crop / Resize, [.. Mean], [.. Deviation]);

    /// <summary>
    /// Puts the file into a folder, and checks it. A file that is there already and is the right one is not downloaded again. What a download
    /// that was cut off has left is kept, and the next one goes on from there.
    /// </summary>
    /// <param name="folder">Created when it is not there. Default: <see cref="PretrainedModels.DefaultFolder"/>.</param>
    /// <param name="progress">Told of every part that arrives.</param>
    /// <param name="cancellationToken">Stops the download; what has arrived is kept.</param>
    /// <returns>The path of the file, for <see cref="TrainingOptions.PretrainedWeights"/>.</returns>
    /// <exception cref="ArgumentException">The address, the length or the digest cannot be right.</exception>
    /// <exception cref="IOException">The file cannot be downloaded or written. The message says why, and where to put the file by hand.</exception>
    /// <exception cref="InvalidDataException">What the server sends is another file.</exception>
    /// <exception cref="OperationCanceledException">The download was stopped.</exception>
    public string Download(string? folder = null, IProgress<DownloadProgress>? progress = null, CancellationToken cancellationToken = default) =>
        DownloadAsync(folder, progress, cancellationToken).GetAwaiter().GetResult();

    /// <inheritdoc cref="Download"/>
    public Task<string> DownloadAsync(string? folder = null, IProgress<DownloadProgress>? progress = null, CancellationToken cancellationToken = default)
    {
        Validate();
        return new Networks.WeightsDownload(this, folder ?? PretrainedModels.DefaultFolder).RunAsync(progress, cancellationToken);
    }

    /// <summary>The file name.</summary>
    public override string ToString() => FileName;

    private void Validate()
    {
        if (!Address.IsAbsoluteUri || (Address.Scheme != Uri.UriSchemeHttps && Address.Scheme != Uri.UriSchemeHttp) || FileName.Length == 0)
            throw new ArgumentException($"{nameof(Address)} must be the http or https address of a file; it is '{Address}'.");
        if (Bytes < 1)
            throw new ArgumentException(string.Create(CultureInfo.InvariantCulture, $"{nameof(Bytes)} must be at least 1; it is {Bytes}."));
        if (Sha256.Length is < FewestDigits or > 64 || !Sha256.All(char.IsAsciiHexDigit))
            throw new ArgumentException($"{nameof(Sha256)} must be {FewestDigits} to 64 hexadecimal digits; it is '{Sha256}'.");
    }
}

/// <summary>How far a download is.</summary>
/// <param name="Received">Bytes that are on the disk, those of earlier attempts among them.</param>
/// <param name="Total">Bytes of the whole file.</param>
public readonly record struct DownloadProgress(long Received, long Total);
