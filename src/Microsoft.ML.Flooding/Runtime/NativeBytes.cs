using System.Buffers;
using System.Runtime.InteropServices;

namespace Microsoft.ML.Flooding.Runtime;

/// <summary>
/// Bytes outside of .NET's heap, of any length. Several owners can share them; the last one that disposes of them frees the memory.
/// </summary>
internal sealed unsafe class NativeBytes : IDisposable
{
    private byte* _start;
    private int _owners = 1;

    public NativeBytes(long length)
    {
        _start = (byte*)NativeMemory.Alloc(checked((nuint)length));
        Length = length;
        if (length > 0)
            GC.AddMemoryPressure(length);
    }

    // Models are often not disposed of.
    ~NativeBytes() => Free();

    public long Length { get; }

    /// <summary>Reads the next bytes of a stream, as many as there is memory for.</summary>
    /// <exception cref="EndOfStreamException">The stream ends before.</exception>
    public static NativeBytes Read(Stream stream, long length)
    {
        var bytes = new NativeBytes(length);
        try
        {
            for (long at = 0, part; at < length; at += part)
            {
                part = Math.Min(length - at, 1 << 30);
                stream.ReadExactly(new Span<byte>(bytes._start + at, (int)part));
            }
            return bytes;
        }
        catch
        {
            bytes.Dispose();
            throw;
        }
    }

    /// <summary>Adds an owner.</summary>
    public NativeBytes Share()
    {
        Interlocked.Increment(ref _owners);
        return this;
    }

    /// <summary>A stream over the bytes. It is valid until the last owner disposes of them.</summary>
    public Stream OpenRead() => new UnmanagedMemoryStream(_start, Length);

    /// <summary>A part of the bytes, without a copy. It is valid until the last owner disposes of them.</summary>
    public ReadOnlyMemory<byte> Slice(long offset, int length) => new Part(this, offset, length).Memory;

    public void Dispose()
    {
        if (Interlocked.Decrement(ref _owners) > 0)
            return;
        Free();
        GC.SuppressFinalize(this);
    }

    private void Free()
    {
        if (_start is null)
            return;
        NativeMemory.Free(_start);
        _start = null;
        if (Length > 0)
            GC.RemoveMemoryPressure(Length);
    }

    private sealed class Part(NativeBytes bytes, long offset, int length) : MemoryManager<byte>
    {
        public override Span<byte> GetSpan() => new(bytes._start + offset, length);

        public override MemoryHandle Pin(int elementIndex = 0) => new(bytes._start + offset + elementIndex);

        public override void Unpin()
        {
        }

        protected override void Dispose(bool disposing)
        {
        }
    }
}
