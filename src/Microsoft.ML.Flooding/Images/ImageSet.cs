using Microsoft.ML.Flooding.Runtime;
using Microsoft.ML.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Images;

/// <summary>The images of a training set, all of one shape, and their labels.</summary>
internal abstract class ImageSet(ImageShape shape, Tensor labels, Tensor places, Tensor digests) : IDisposable
{
    private const int StatisticsBatchSize = 1024;

    // The place of each row's pixels. Callers and batches use row numbers, not places.
    private readonly Tensor _places = places;

    /// <summary>The number of images.</summary>
    public long Count => Labels.shape[0];

    /// <summary>The shape of every image.</summary>
    public ImageShape Shape { get; } = shape;

    /// <summary>Class indices: int64 [N] on the CPU.</summary>
    public Tensor Labels { get; } = labels;

    /// <summary>A digest of each image's pixels, the first 8 bytes of their SHA-256: int64 [N] on the CPU.</summary>
    public Tensor Digests { get; } = digests;

    /// <summary>The weight of each image: float32 [N] on the CPU, finite and at least 0; null if all have the same weight.</summary>
    public Tensor? Weights { get; set; }

    /// <summary>
    /// The group of each image: int64 [N] on the CPU. A split keeps the images of a group together. Null if each image is its own group.
    /// </summary>
    public Tensor? Groups { get; set; }

    /// <summary>
    /// The number of images within which <see cref="Read(Tensor, int, Device)"/> follows the order: all of them, unless the set is
    /// streamed.
    /// </summary>
    public virtual long BlockLength => Count;

    /// <summary>uint8, or float32 if any pixel value is not an integer from 0 to 255.</summary>
    public abstract ScalarType PixelType { get; }

    /// <summary>Reads a view's images and labels into a set.</summary>
    /// <param name="env">The environment that logs skipped images.</param>
    /// <param name="data">The view. It is read twice, the first time without its images, and with parallel cursors if it has them.</param>
    /// <param name="featureColumn">The image column.</param>
    /// <param name="labelColumn">The label column, a key.</param>
    /// <param name="column">How to read an image.</param>
    /// <param name="options">How to keep the set.</param>
    /// <param name="checkAlive">Called regularly, from several threads; throws to cancel.</param>
    public static ImageSet Load(
        IHostEnvironment env, IDataView data, string featureColumn, string labelColumn, ImageColumn column, ImageSetOptions options,
        Action checkAlive) => ImageSetLoader.Load(env, data, featureColumn, labelColumn, column, options, checkAlive);

    /// <summary>
    /// Reads the rows of <paramref name="order"/> once, in mini-batches; the last one may be smaller. If <see cref="BlockLength"/> is less
    /// than <see cref="Count"/>, the rows come in a different order, which <see cref="ImageBatch.Rows"/> gives.
    /// </summary>
    /// <param name="order">Row numbers, int64 [n] on the CPU.</param>
    /// <param name="batchSize">The number of rows in a batch.</param>
    /// <param name="device">The device of the batches.</param>
    public IImageBatches Read(Tensor order, int batchSize, Device device)
    {
        using var places = _places.index_select(0, order);
        return Read(order, places, batchSize, device);
    }

    /// <summary>
    /// Computes the mean and the (population) standard deviation of each channel over the rows of <paramref name="order"/>, in pixel units:
    /// float32 [C] each.
    /// </summary>
    public (Tensor Mean, Tensor Std) ChannelStatistics(Tensor order)
    {
        using var scope = NewDisposeScope();
        var sum = zeros(Shape.Channels, dtype: ScalarType.Float64);
        var squares = zeros(Shape.Channels, dtype: ScalarType.Float64);
        using var batches = Read(order, StatisticsBatchSize, CPU);
        while (true)
        {
            using var batch = NewDisposeScope();
            if (!batches.MoveNext())
                break;

            // float64 holds sums of bytes exactly, so the result does not depend on the order of the rows.
            var pixels = batches.Current.Pixels.reshape(-1, Shape.Channels).to(ScalarType.Float64);
            sum.PlusInPlace(pixels.sum([0L]));
            squares.PlusInPlace(pixels.square().sum([0L]));
        }
        var count = (double)order.shape[0] * Shape.Height * Shape.Width;
        var mean = sum.Over(count);
        var std = (squares.Over(count) - mean.square()).AtLeast(0).sqrt();
        return (mean.to(ScalarType.Float32).MoveToOuterDisposeScope(), std.to(ScalarType.Float32).MoveToOuterDisposeScope());
    }

    /// <inheritdoc/>
    public virtual void Dispose()
    {
        _places.Dispose();
        Labels.Dispose();
        Digests.Dispose();
        Weights?.Dispose();
        Groups?.Dispose();
        GC.SuppressFinalize(this);
    }

    /// <summary>Reads the rows once; <paramref name="places"/> holds the place of each row's pixels.</summary>
    protected abstract IImageBatches Read(Tensor rows, Tensor places, int batchSize, Device device);
}

/// <summary>
/// One pass over an <see cref="ImageSet"/>. A batch's tensors belong to the dispose scope in which <see cref="MoveNext"/> was called.
/// </summary>
internal interface IImageBatches : IDisposable
{
    /// <summary>The current batch.</summary>
    ImageBatch Current { get; }

    /// <summary>Advances to the next batch; returns false at the end of the pass.</summary>
    bool MoveNext();
}

/// <summary>A mini-batch on the device.</summary>
/// <param name="Pixels">uint8 or float32 [B, H, W, C].</param>
/// <param name="Labels">int64 [B], class indices.</param>
/// <param name="Rows">int64 [B], row numbers in the set.</param>
internal readonly record struct ImageBatch(Tensor Pixels, Tensor Labels, Tensor Rows);

/// <summary>Options for reading and keeping an <see cref="ImageSet"/>.</summary>
internal sealed record ImageSetOptions
{
    /// <summary>The column of the images' weights, of type Single. Default: null, no weights.</summary>
    public string? WeightColumn { get; init; }

    /// <summary>A split keeps images with the same value in this column together. Default: null, no such column.</summary>
    public string? SamplingKeyColumn { get; init; }

    /// <summary>What to do with an image that cannot be read.</summary>
    public OnInvalidImage OnInvalidImage { get; init; }

    /// <summary>
    /// Sets that take more memory than this are kept on disk, or streamed. Default: half of the free memory, or, if the disk may not be
    /// used, <see cref="ImageSetLoader.DefaultStreamBytes"/>.
    /// </summary>
    public long? MaxCacheBytes { get; init; }

    /// <summary>
    /// Whether the disk may be used. If not, a set over the limit is read again in each epoch and shuffled only within blocks. Default:
    /// true.
    /// </summary>
    public bool UseDisk { get; init; } = true;

    /// <summary>The folder of the temporary file. Default: the system's folder for temporary files.</summary>
    public string? CacheFolder { get; init; }

    /// <summary>Called for each row that is left out, in the order of the rows.</summary>
    public Action<SkippedImage>? Skipped { get; init; }
}
