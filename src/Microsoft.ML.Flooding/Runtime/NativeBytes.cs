using System.Buffers;
using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace Microsoft.ML.Flooding.Runtime;

/// <summary>
/// Bytes outside of .NET's heap, of any length. Several owners can share them; the last one that disposes of them frees the memory.
/// </summary>
internal sealed unsafe class NativeBytes : IDisposable
{
    // Read at a time: the hash then finds the bytes in the processor's cache.
    private const int PartSize = 1 << 20;

    private byte* _start;
    private int _owners = 1;

    public NativeBytes(long length)
    {
        _start = (byte*)NativeMemory.Alloc(checked((nuint)length));
        HugePages.Advise((nint)_start, checked((nint)length));
        Length = length;
        if (length > 0)
            GC.AddMemoryPressure(length);
    }

    // Models are often not disposed of.
    ~NativeBytes() => Free();

    public long Length { get; }

    /// <summary>Reads the next bytes of a stream.</summary>
    /// <param name="stream">The stream.</param>
    /// <param name="length">The number of bytes.</param>
    /// <param name="hash">The hash to append the bytes to.</param>
    /// <exception cref="EndOfStreamException">The stream ends before.</exception>
    public static NativeBytes Read(Stream stream, long length, IncrementalHash? hash = null)
    {
        var bytes = new NativeBytes(length);
        try
        {
            for (long at = 0, count; at < length; at += count)
            {
                count = Math.Min(length - at, PartSize);
                var part = new Span<byte>(bytes._start + at, (int)count);
                stream.ReadExactly(part);
                hash?.AppendData(part);
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
