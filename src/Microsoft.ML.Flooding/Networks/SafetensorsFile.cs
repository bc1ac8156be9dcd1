using System.IO.MemoryMappedFiles;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Networks;

/// <summary>A safetensors file to read tensors from, one by one.</summary>
internal sealed unsafe class SafetensorsFile : IDisposable
{
    private readonly SafetensorsHeader _header;
    private readonly Dictionary<string, SafetensorsEntry> _entries;
    private readonly IDisposable _owner;
    private readonly byte* _data;
    private bool _disposed;

    private SafetensorsFile(byte* start, long length, IDisposable owner)
    {
        var headerLength = SafetensorsHeader.ReadLength(new(start, (int)Math.Min(length, sizeof(long))), length);
        _data = start + sizeof(long) + headerLength;
        _header = SafetensorsHeader.Parse(
            new ReadOnlySpan<byte>(start + sizeof(long), (int)headerLength).ToArray(), length - sizeof(long) - headerLength);
        _entries = _header.Entries.ToDictionary(entry => entry.Name);
        _owner = owner;
    }

    /// <summary>The tensors, in the order of the header.</summary>
    public IReadOnlyList<SafetensorsEntry> Entries => _header.Entries;

    /// <summary>The strings stored with the tensors.</summary>
    public IReadOnlyDictionary<string, string> Metadata => _header.Metadata;

    /// <summary>Maps a file into memory: only what is loaded is read.</summary>
    /// <exception cref="InvalidDataException">The file is not a valid safetensors file.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static SafetensorsFile Open(string path)
    {
        var length = new FileInfo(path).Length;
        if (length == 0)
            throw new InvalidDataException("Not a safetensors file: it is empty.");
        var mapping = new Mapping(path);
        try
        {
            return new(mapping.Pointer, length, mapping);
        }
        catch
        {
            mapping.Dispose();
            throw;
        }
    }

    /// <summary>Reads a stream to its end; it need not be seekable.</summary>
    /// <exception cref="InvalidDataException">The stream is not a valid safetensors file.</exception>
    public static SafetensorsFile Read(Stream stream)
    {
        ArgumentNullException.ThrowIfNull(stream);
        // Grows with what arrives, whatever the header claims.
        var buffer = new MemoryStream();
        stream.CopyTo(buffer);
        return Read(buffer.GetBuffer().AsMemory(0, (int)buffer.Length));
    }

    /// <summary>Reads from memory, which must not change as long as the file is open.</summary>
    /// <exception cref="InvalidDataException">The bytes are not a valid safetensors file.</exception>
    public static SafetensorsFile Read(ReadOnlyMemory<byte> bytes)
    {
        var pin = bytes.Pin();
        try
        {
            return new((byte*)pin.Pointer, bytes.Length, pin);
        }
        catch
        {
            pin.Dispose();
            throw;
        }
    }

    public bool Contains(string name) => _entries.ContainsKey(name);

    /// <summary>A new tensor on the CPU, in the type it has in the file.</summary>
    /// <exception cref="KeyNotFoundException">The file has no tensor of this name.</exception>
    public Tensor Load(string name)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (!_entries.TryGetValue(name, out var entry))
            throw new KeyNotFoundException($"The safetensors file has no tensor '{name}'.");
        var tensor = empty([.. entry.Shape], entry.Type, CPU);
        if (entry.Length > 0)
            new ReadOnlySpan<byte>(_data + entry.Offset, checked((int)entry.Length)).CopyTo(tensor.bytes);
        return tensor;
    }

    /// <summary>Every tensor by name.</summary>
    public Dictionary<string, Tensor> LoadAll() => _entries.Keys.ToDictionary(name => name, Load);

    public void Dispose()
    {
        if (!_disposed)
            _owner.Dispose();
        _disposed = true;
    }

    private sealed class Mapping : IDisposable
    {
        private readonly MemoryMappedFile _file;
        private readonly MemoryMappedViewAccessor _view;

        public Mapping(string path)
        {
            _file = MemoryMappedFile.CreateFromFile(path, FileMode.Open, null, 0, MemoryMappedFileAccess.Read);
            _view = _file.CreateViewAccessor(0, 0, MemoryMappedFileAccess.Read);
            byte* pointer = null;
            _view.SafeMemoryMappedViewHandle.AcquirePointer(ref pointer);
            Pointer = pointer + _view.PointerOffset;
        }

        public byte* Pointer { get; }

        public void Dispose()
        {
            _view.SafeMemoryMappedViewHandle.ReleasePointer();
            _view.Dispose();
            _file.Dispose();
        }
    }
}
