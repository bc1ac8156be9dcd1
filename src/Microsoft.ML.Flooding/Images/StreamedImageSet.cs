using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Images;

/// <summary>
/// A set that keeps no pixels: every pass reads the data again from its first row to its last. An order can be followed only as far as
/// memory reaches, so it holds within blocks: of the rows asked for, each block takes the next ones in the data's order and gives them
/// in the order asked for. Data sorted by class should therefore be shuffled beforehand (DataOperationsCatalog.ShuffleRows).
/// The length of a block follows from the options and the images alone, never from the machine: it decides the order.
/// </summary>
internal sealed class StreamedImageSet(
    IDataView data, ImageColumn column, ScalarType pixelType, Tensor labels, Tensor dataRows, Tensor digests, long dataCount,
    long imagesAtOnce)
    : ImageSet(column.Shape, labels, dataRows, digests)
{
    /// <summary>One block is in use while the next one is read.</summary>
    public override long BlockLength { get; } = Math.Min(Math.Clamp(imagesAtOnce / 2, 1, 1 << 24), labels.shape[0]);

    /// <inheritdoc/>
    public override ScalarType PixelType => pixelType;

    /// <inheritdoc/>
    protected override IImageBatches Read(Tensor rows, Tensor places, int batchSize, Device device)
    {
        var positions = new long[dataCount];
        Array.Fill(positions, -1);
        var order = places.data<long>().ToArray();
        for (var i = 0L; i < order.Length; i++)
            positions[order[i]] = positions[order[i]] < 0 ? i : throw new ArgumentException("A row can be read once a pass.", nameof(rows));

        var blocks = new ImageBlocks(data, column, pixelType, positions, order.Length, (int)BlockLength);
        return new Batches(blocks, Labels, rows, batchSize, device);
    }

    private sealed class Batches(ImageBlocks blocks, Tensor labels, Tensor order, int batchSize, Device device) : IImageBatches
    {
        private readonly Tensor _order = order.alias().DetachFromDisposeScope();
        private readonly long _count = order.shape[0];
        private ImageBlock? _block;
        private long _next;
        private long _nextInBlock;

        public ImageBatch Current { get; private set; }

        public bool MoveNext()
        {
            if (_next >= _count)
                return false;

            var count = Math.Min(batchSize, _count - _next);
            using var scope = NewDisposeScope();
            var pixels = new List<Tensor>();
            var positions = new List<Tensor>();
            for (var missing = count; missing > 0;)
            {
                if (_block is null || _nextInBlock == _block.Count)
                {
                    _block?.Dispose();
                    (_block, _nextInBlock) = (blocks.Take(), 0);
                }

                var part = Math.Min(missing, _block.Count - _nextInBlock);
                pixels.Add(_block.Pixels.index_select(0, _block.Slots.narrow(0, _nextInBlock, part)));
                positions.Add(_block.Positions.narrow(0, _nextInBlock, part));
                _nextInBlock += part;
                missing -= part;
            }

            _next += count;
            var rows = _order.index_select(0, cat(positions));
            var batch = new ImageBatch(cat(pixels).to(device), labels.index_select(0, rows).to(device), rows.to(device));
            scope.MoveToOuter(batch.Pixels, batch.Labels, batch.Rows);
            Current = batch;
            return true;
        }

        public void Dispose()
        {
            _block?.Dispose();
            blocks.Dispose();
            _order.Dispose();
        }
    }
}
