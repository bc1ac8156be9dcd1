using System.Runtime.InteropServices;
using Microsoft.ML.Data;
using Microsoft.ML.Flooding.Images;

namespace Microsoft.ML.Flooding.Scoring;

/// <summary>A batch of rows from a cursor, with their images and probabilities. Reuse an instance for many batches.</summary>
internal sealed unsafe class ImageRows : IDisposable
{
    private const int Alignment = 64;

    private readonly ImageColumn _column;
    private readonly bool _isDecoded;
    private readonly int _classes;
    private readonly RawImage[] _raw;
    private readonly DataViewRowId[] _ids;
    private readonly string?[] _problems;
    private readonly float[] _probabilities;
    private readonly bool _areFloats;
    private readonly int _stride;
    private byte* _start;

    /// <param name="column">How to read an image.</param>
    /// <param name="type">The type of the column.</param>
    /// <param name="classes">The number of classes.</param>
    /// <param name="capacity">The largest number of rows.</param>
    public ImageRows(ImageColumn column, DataViewType type, int classes, int capacity)
    {
        _column = column;
        _classes = classes;
        _isDecoded = ImageColumn.KindOf(column.Name, type) is ImageKind.Encoded or ImageKind.Bitmap;
        // Pixels that need no decoding share one buffer, which stays in the CPU cache.
        _raw = [.. Enumerable.Range(0, _isDecoded ? capacity : 1).Select(_ => new RawImage())];
        _ids = new DataViewRowId[capacity];
        _problems = new string?[capacity];
        _probabilities = new float[checked(capacity * classes)];
        var shape = column.Shape;
        _areFloats = ImageColumn.HoldsFloats(type);
        _stride = checked(shape.Length * (_areFloats ? sizeof(float) : sizeof(byte)));
        _start = (byte*)NativeMemory.AlignedAlloc(checked((nuint)capacity * (nuint)_stride), Alignment);
    }

    // Engines that own their model are often not disposed of.
    ~ImageRows() => Free();

    /// <summary>The number of rows.</summary>
    public int Count { get; private set; }

    /// <summary>The size of the values to decode, in bytes.</summary>
    public long RawSize { get; private set; }

    /// <summary>The exception that ended reading after these rows; null if there was none.</summary>
    public Exception? Failure { get; set; }

    public DataViewRowId Id(int index) => _ids[index];

    /// <summary>The reason why a row has no image; null if it has one.</summary>
    public string? Problem(int index) => _problems[index];

    /// <summary>The probabilities of a scored row; NaN if it has no image.</summary>
    public ReadOnlySpan<float> Probabilities(int index) => _probabilities.AsSpan(index * _classes, _classes);

    public void Clear()
    {
        (Count, RawSize) = (0, 0);
        Failure = null;
    }

    /// <summary>Adds a row.</summary>
    public void Read(Func<RawImage, string?> read, DataViewRowId id)
    {
        var index = Count;
        var raw = _raw[_isDecoded ? index : 0];
        _ids[index] = id;
        _problems[index] = read(raw);
        if (_isDecoded)
            RawSize += raw.Size;
        else
            Decode(index, raw);
        Count++;
    }

    /// <summary>Decodes the images of the added rows, on all cores.</summary>
    public void Decode()
    {
        if (!_isDecoded)
            return;
        if (Count == 1)
            Decode(0, _raw[0]);
        else
            Parallel.For(0, Count, i => Decode(i, _raw[i]));
    }

    /// <summary>Drops all rows after the first <paramref name="count"/>.</summary>
    public void Truncate(int count) => Count = count;

    public void Score(ImageClassifier classifier)
    {
        classifier.Score(
            new PixelBatch((nint)_start, Count, _column.Shape, _areFloats), _probabilities.AsSpan(0, Count * _classes));
        GC.KeepAlive(this);
        for (var i = 0; i < Count; i++)
            if (_problems[i] is not null)
                _probabilities.AsSpan(i * _classes, _classes).Fill(float.NaN);
    }

    public void Dispose()
    {
        Free();
        GC.SuppressFinalize(this);
    }

    private void Free()
    {
        NativeMemory.AlignedFree(_start);
        _start = null;
    }

    private void Decode(int index, RawImage raw)
    {
        var pixels = new Span<byte>(_start + ((long)index * _stride), _stride);
        if (_problems[index] is null && !_column.TryDecode(raw, pixels, out var problem))
            _problems[index] = problem;
        if (_problems[index] is not null)
            pixels.Clear();
    }
}
