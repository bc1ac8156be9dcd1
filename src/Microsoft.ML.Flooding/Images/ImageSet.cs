using Microsoft.ML.Flooding.Runtime;
using Microsoft.ML.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Images;

/// <summary>The images of a training set, all of one shape, and their labels.</summary>
internal abstract class ImageSet(ImageShape shape, Tensor labels, Tensor places, Tensor digests) : IDisposable
{
    private const int StatisticsBatchSize = 1024;

    // Where each row's pixels are. Batches and callers know rows by their number in the data alone.
    private readonly Tensor _places = places;

    /// <summary>The number of images.</summary>
    public long Count => Labels.shape[0];

    /// <summary>The shape of every image.</summary>
    public ImageShape Shape { get; } = shape;

    /// <summary>Class indices: int64 [N] on the CPU.</summary>
    public Tensor Labels { get; } = labels;

    /// <summary>What tells the pixels of each image from others: int64 [N] on the CPU, the first 8 bytes of their SHA-256.</summary>
    public Tensor Digests { get; } = digests;

    /// <summary>How much each image counts: float32 [N] on the CPU, finite and at least 0; null: all the same.</summary>
    public Tensor? Weights { get; set; }

    /// <summary>Images of the same group belong on one side of a split: int64 [N] on the CPU; null: each is a group of its own.</summary>
    public Tensor? Groups { get; set; }

    /// <summary>
    /// How many images <see cref="Read(Tensor, int, Device)"/> brings into an order: all of them, unless the set is streamed.
    /// </summary>
    public virtual long BlockLength => Count;

    /// <summary>uint8, or float32 if any pixel is not a whole number in 0..255.</summary>
    public abstract ScalarType PixelType { get; }

    /// <summary>Reads a view's images and labels into a set.</summary>
    /// <param name="env">Where skipped images are logged.</param>
    /// <param name="data">The view; it is read twice, the first time without its images. Parallel cursors are used where it offers
    /// them.</param>
    /// <param name="featureColumn">The column of images.</param>
    /// <param name="labelColumn">The label column, a key.</param>
    /// <param name="column">How an image is read.</param>
    /// <param name="options">How the set is kept.</param>
    /// <param name="checkAlive">Called now and then, from several threads; throws to cancel.</param>
    public static ImageSet Load(
        IHostEnvironment env, IDataView data, string featureColumn, string labelColumn, ImageColumn column, ImageSetOptions options,
        Action checkAlive) => ImageSetLoader.Load(env, data, featureColumn, labelColumn, column, options, checkAlive);

    /// <summary>
    /// One pass over the rows of <paramref name="order"/> in mini-batches, the last of which may be smaller. Where
    /// <see cref="BlockLength"/> is below <see cref="Count"/>, the rows come in another order:
    /// <see cref="ImageBatch.Rows"/> says which they are.
    /// </summary>
    /// <param name="order">Row numbers, int64 [n] on the CPU.</param>
    /// <param name="batchSize">Rows a batch.</param>
    /// <param name="device">Where the batches go.</param>
    public IImageBatches Read(Tensor order, int batchSize, Device device)
    {
        using var places = _places.index_select(0, order);
        return Read(order, places, batchSize, device);
    }

    /// <summary>
    /// Mean and (population) standard deviation of every channel over the rows of <paramref name="order"/>, in pixel units: float32 [C] each.
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

            // float64 holds sums of bytes exactly, so that these depend on no order of addition.
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

    /// <summary>One pass over the rows, each of which is at its place.</summary>
    protected abstract IImageBatches Read(Tensor rows, Tensor places, int batchSize, Device device);
}

/// <summary>One pass over an <see cref="ImageSet"/>. A batch's tensors belong to the dispose scope that <see cref="MoveNext"/> was called in.</summary>
internal interface IImageBatches : IDisposable
{
    /// <summary>The batch that the last <see cref="MoveNext"/> went to.</summary>
    ImageBatch Current { get; }

    /// <summary>Goes to the next batch; false at the end of the pass.</summary>
    bool MoveNext();
}

/// <summary>A mini-batch on the device.</summary>
/// <param name="Pixels">uint8 or float32 [B, H, W, C].</param>
/// <param name="Labels">int64 [B], class indices.</param>
/// <param name="Rows">int64 [B], row numbers in the set.</param>
internal readonly record struct ImageBatch(Tensor Pixels, Tensor Labels, Tensor Rows);

/// <summary>How an <see cref="ImageSet"/> is read and kept.</summary>
internal sealed record ImageSetOptions
{
    /// <summary>The column of the images' weights, Single; null: they have none.</summary>
    public string? WeightColumn { get; init; }

    /// <summary>The column whose value images share that a split must not part; null: there is none.</summary>
    public string? SamplingKeyColumn { get; init; }

    /// <summary>What happens with an image that cannot be read.</summary>
    public OnInvalidImage OnInvalidImage { get; init; }

    /// <summary>
    /// Sets that take more memory than this are kept on disk instead, or streamed. If not given: half of what is free, or, where the
    /// disk may not be used, <see cref="ImageSetLoader.DefaultStreamBytes"/>.
    /// </summary>
    public long? MaxCacheBytes { get; init; }

    /// <summary>Whether the disk may be used; if not, a set over the limit is read again in every epoch and shuffled only within blocks.</summary>
    public bool UseDisk { get; init; } = true;

    /// <summary>The folder of the temporary file; the system's if not given.</summary>
    public string? CacheFolder { get; init; }

    /// <summary>Told of every row left out, in their order.</summary>
    public Action<SkippedImage>? Skipped { get; init; }
}
