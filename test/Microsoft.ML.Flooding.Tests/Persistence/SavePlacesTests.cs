using System.Diagnostics;
using System.IO.Pipes;
using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Tests.Scoring;

namespace Microsoft.ML.Flooding.Tests.Persistence;

/// <summary>SaveSafely and LoadSafely do what Save and Load do, whatever the path or the stream is.</summary>
[TestClass]
public sealed class SavePlacesTests
{
    private readonly MLContext _context = new();
    private readonly string _folder = Directory.CreateTempSubdirectory("flooding-places-").FullName;

    [TestCleanup]
    public void DeleteFolder() => Directory.Delete(_folder, recursive: true);

    public static IEnumerable<object[]> Places => new (string Name, Func<string, string> Prepare)[]
    {
        ("new", folder => Path.Combine(folder, "model.zip")),
        ("empty", folder => Written(Path.Combine(folder, "model.zip"), "")),
        ("old", folder => Written(Path.Combine(folder, "model.zip"), "old")),
        ("relative", folder => Path.GetRelativePath(Environment.CurrentDirectory, Written(Path.Combine(folder, "model.zip"), "old"))),
        ("longest name", folder => Path.Combine(folder, new string('m', 251) + ".zip")),
        ("longest name of three bytes a letter", folder => Path.Combine(folder, new string('\u30e2', 83) + ".zip")),
        ("deep", folder =>
        {
            var deep = Path.Combine([folder, .. Enumerable.Repeat(new string('d', 100), 8)]);
            return Path.Combine(Directory.CreateDirectory(deep).FullName, "model.zip");
        }),
        ("read-only", folder =>
        {
            var path = Written(Path.Combine(folder, "model.zip"), "old");
            File.SetAttributes(path, FileAttributes.ReadOnly);
            return path;
        }),
        ("folder", folder => Directory.CreateDirectory(Path.Combine(folder, "model.zip")).FullName),
        ("folder that is missing", folder => Path.Combine(folder, "missing", "model.zip")),
        ("in a file", folder => Path.Combine(Written(Path.Combine(folder, "file"), "old"), "model.zip")),
        ("link", folder => Link(folder, "model.zip", Written(Path.Combine(folder, "target.zip"), "old"))),
        ("link to a new file", folder => Link(folder, "model.zip", Path.Combine(folder, "target.zip"))),
        ("relative link to a link", folder =>
        {
            Written(Path.Combine(Directory.CreateDirectory(Path.Combine(folder, "versions")).FullName, "2.zip"), "old");
            Link(folder, "current.zip", Path.Combine("versions", "2.zip"));
            return Link(folder, "model.zip", "current.zip");
        }),
        ("link to a missing folder", folder => Link(folder, "model.zip", Path.Combine(folder, "missing", "target.zip"))),
        ("link to itself", folder => Link(folder, "model.zip", Path.Combine(folder, "model.zip"))),
        ("in a linked folder", folder =>
        {
            Written(Path.Combine(Directory.CreateDirectory(Path.Combine(folder, "real")).FullName, "model.zip"), "old");
            Directory.CreateSymbolicLink(Path.Combine(folder, "linked"), "real");
            return Path.Combine(folder, "linked", "model.zip");
        }),
    }.Select(place => new object[] { place.Name, place.Prepare });

    [TestMethod]
    [DynamicData(nameof(Places))]
    public void Files_and_errors_are_those_of_Save(string name, Func<string, string> prepare)
    {
        using var model = CreateModel();
        // Both names have the same length, because the length of a link is that of its target's path.
        var plain = Directory.CreateDirectory(Path.Combine(_folder, "plain")).FullName;
        var safe = Directory.CreateDirectory(Path.Combine(_folder, "safer")).FullName;
        var (plainPath, safePath) = (prepare(plain), prepare(safe));
        var expected = Try(() => _context.Model.Save(model, null, plainPath));
        var actual = Try(() => _context.Model.SaveSafely(model, null, safePath));
        Assert.AreEqual(Kind(expected), Kind(actual), $"{name}: {expected?.Message} {actual?.Message}");
        CollectionAssert.AreEqual(Entries(plain), Entries(safe), name);
        Assert.AreEqual(
            Kind(Try(() => Dispose(_context.Model.Load(plainPath, out var _)))),
            Kind(Try(() => Dispose(_context.Model.LoadSafely(safePath, out var _)))), name);
        if (expected is null)
            Dispose(_context.Model.Load(safePath, out var _));
    }

    [TestMethod]
    public void The_mode_is_kept()
    {
        if (OperatingSystem.IsWindows())
            return;
        using var model = CreateModel();
        foreach (var mode in new[] { 0b110_000_000, 0b110_110_110, 0b111_101_100 }.Select(bits => (UnixFileMode)bits))
        {
            var path = Written(Path.Combine(_folder, "model.zip"), "old");
            File.SetUnixFileMode(path, mode);
            _context.Model.SaveSafely(model, null, path);
            Assert.AreEqual(mode, File.GetUnixFileMode(path));
        }
    }

    [TestMethod]
    public void Another_hard_link_keeps_the_old_model()
    {
        if (OperatingSystem.IsWindows())
            return;
        using var model = CreateModel();
        var path = Written(Path.Combine(_folder, "model.zip"), "old");
        Assert.AreEqual(0, Run("ln", path, Path.Combine(_folder, "backup.zip")));
        _context.Model.SaveSafely(model, null, path);
        Assert.AreEqual("old", File.ReadAllText(Path.Combine(_folder, "backup.zip")));
        Dispose(_context.Model.Load(path, out var _));
    }

    [TestMethod]
    [Timeout(180_000, CooperativeCancellation = true)]
    public async Task A_named_pipe_takes_and_gives_a_model()
    {
        if (OperatingSystem.IsWindows())
            return;
        using var model = CreateModel();
        var path = Path.Combine(_folder, "pipe");
        Assert.AreEqual(0, Run("mkfifo", path));
        var read = Task.Run(() => File.ReadAllBytesAsync(path));
        _context.Model.SaveSafely(model, null, path);
        var bytes = await read;
        Dispose(_context.Model.Load(new MemoryStream(bytes), out var _));
        CollectionAssert.AreEqual(new[] { path }, Directory.GetFileSystemEntries(_folder));

        var written = Task.Run(() =>
        {
            using var pipe = new FileStream(path, FileMode.Open, FileAccess.Write);
            pipe.Write(bytes);
        });
        Dispose(_context.Model.LoadSafely(path, out var _));
        await written;
    }

    /// <summary>Like /dev/stdout in a shell pipe: a link to something without a path.</summary>
    [TestMethod]
    [Timeout(180_000, CooperativeCancellation = true)]
    public async Task Standard_output_takes_a_model()
    {
        if (!OperatingSystem.IsLinux())
            return;
        using var model = CreateModel();
        using var content = new MemoryStream();
        using (var reader = new AnonymousPipeServerStream(PipeDirection.In))
        {
            var read = Task.Run(() => reader.CopyTo(content));
            _context.Model.SaveSafely(model, null, $"/proc/self/fd/{reader.GetClientHandleAsString()}");
            reader.DisposeLocalCopyOfClientHandle();
            await read;
        }
        Dispose(_context.Model.Load(new MemoryStream(content.ToArray()), out var _));
    }

    [TestMethod]
    public void A_device_is_written_to_and_stays_a_device()
    {
        if (!OperatingSystem.IsLinux())
            return;
        using var model = CreateModel();
        foreach (var path in new[] { "/dev/full", Link(_folder, "full", "/dev/full") })
        {
            Assert.ThrowsExactly<IOException>(() => _context.Model.SaveSafely(model, null, path));
            Assert.ThrowsExactly<IOException>(() => File.WriteAllText(path, "It is full still."));
        }
    }

    /// <summary>Watches a model as the pool of Microsoft.Extensions.ML and the file provider of ASP.NET do.</summary>
    [TestMethod]
    [DataRow(NotifyFilters.LastWrite | NotifyFilters.FileName | NotifyFilters.DirectoryName)]
    [DataRow(NotifyFilters.LastWrite)]
    [Timeout(180_000, CooperativeCancellation = true)]
    public async Task Whoever_watches_the_file_sees_a_change_of_the_whole_file(NotifyFilters filters)
    {
        using var model = CreateModel();
        var path = Path.Combine(_folder, "model.zip");
        _context.Model.SaveSafely(model, null, path);
        var seen = new TaskCompletionSource<Exception?>(TaskCreationOptions.RunContinuationsAsynchronously);
        using var watcher = new FileSystemWatcher(_folder, "model.zip") { NotifyFilter = filters };
        watcher.Changed += (_, _) => seen.TrySetResult(Try(() => Dispose(_context.Model.Load(path, out var _))));
        watcher.EnableRaisingEvents = true;
        _context.Model.SaveSafely(model, null, path);
        Assert.IsNull(await seen.Task.WaitAsync(TimeSpan.FromMinutes(2)));
    }

    [TestMethod]
    public void Streams_are_loaded_as_Load_loads_them()
    {
        using var model = CreateModel();
        using var saved = new MemoryStream();
        _context.Model.Save(model, null, saved);
        var bytes = saved.ToArray();
        byte[] longer = [.. bytes, .. new byte[500]];
        byte[] shifted = [.. new byte[100], .. bytes];
        var shiftedByWriter = new MemoryStream();
        shiftedByWriter.Write(new byte[100]);
        _context.Model.Save(model, null, shiftedByWriter);
        var path = Path.Combine(_folder, "model.zip");
        File.WriteAllBytes(path, bytes);
        foreach (var (name, open) in new (string, Func<Stream>)[]
        {
            ("at its beginning", () => new MemoryStream(bytes)),
            ("at its end", () => new MemoryStream(bytes) { Position = bytes.Length }),
            ("read-only", () => new MemoryStream(bytes, writable: false)),
            ("cannot seek", () => new Unseekable(bytes)),
            ("longer than the model", () => new MemoryStream(longer)),
            ("bytes before the model", () => new MemoryStream(shifted) { Position = 100 }),
            ("bytes before the model when it was saved", () => new MemoryStream(shiftedByWriter.ToArray()) { Position = 100 }),
            ("empty", () => new MemoryStream()),
            ("no archive", () => new MemoryStream(new byte[1000])),
        })
        {
            using var plain = open();
            using var safe = open();
            var expected = Try(() => Dispose(_context.Model.Load(plain, out var _)));
            var actual = Try(() => Dispose(_context.Model.LoadSafely(safe, out var _)));
            Assert.AreEqual(Kind(expected), Kind(actual), $"{name}: {expected?.Message} {actual?.Message}");
            Assert.AreEqual(plain.CanRead, safe.CanRead, $"{name}: left open");
        }
        // ML.NET reports these as damaged files.
        foreach (var unreadable in new[] { new FileStream(path, FileMode.Open, FileAccess.Write), Closed(new MemoryStream(bytes)) })
        {
            using (unreadable)
                Assert.AreEqual(
                    "stream", Assert.ThrowsExactly<ArgumentException>(() => _context.Model.LoadSafely(unreadable, out var _)).ParamName);
        }
    }

    private FloodedImageClassificationTransformer CreateModel() =>
        RandomModel.Create(_context, Architecture.Mlp.WithHiddenSizes(6), new ImageShape(8, 8, 3));

    private static string Written(string path, string content)
    {
        File.WriteAllText(path, content);
        return path;
    }

    private static string Link(string folder, string name, string target)
    {
        var path = Path.Combine(folder, name);
        File.CreateSymbolicLink(path, target);
        return path;
    }

    /// <summary>Every entry of a folder, whether it is a link or a model.</summary>
    // Only SaveSafely leaves the weights uncompressed, so the lengths of models differ.
    private static string[] Entries(string folder) =>
        [.. Directory.EnumerateFileSystemEntries(folder, "*", SearchOption.AllDirectories).Order(StringComparer.Ordinal).Select(path =>
        {
            var file = new FileInfo(path);
            var mode = OperatingSystem.IsWindows() ? "" : $"{file.UnixFileMode}";
            return $"{Path.GetRelativePath(folder, path)} {file.Attributes & ~FileAttributes.Archive} {mode} "
                + $"{(file.LinkTarget is null ? "" : "link")} {(!file.Exists ? 0 : file.Length > 1000 ? "a model" : file.Length)}";
        })];

    /// <summary>
    /// The kind of an error, as far as a caller can act on it. For a file that is not a model, ML.NET throws either of two exceptions;
    /// LoadSafely always throws the first.
    /// </summary>
    private static Type? Kind(Exception? error) => error switch
    {
        InvalidDataException or FormatException => typeof(InvalidDataException),
        FileNotFoundException or DirectoryNotFoundException => typeof(FileNotFoundException),
        _ => error?.GetType(),
    };

    private static Exception? Try(Action action)
    {
        try
        {
            action();
            return null;
        }
        catch (Exception e)
        {
            return e;
        }
    }

    private static void Dispose(ITransformer model) => ((IDisposable)model).Dispose();

    private static Stream Closed(Stream stream)
    {
        stream.Dispose();
        return stream;
    }

    private static int Run(string command, params string[] arguments)
    {
        using var process = Process.Start(command, arguments);
        process.WaitForExit();
        return process.ExitCode;
    }

    private sealed class Unseekable(byte[] bytes) : MemoryStream(bytes, writable: false)
    {
        public override bool CanSeek => false;

        public override long Position
        {
            get => throw new NotSupportedException();
            set => throw new NotSupportedException();
        }

        public override long Length => throw new NotSupportedException();

        public override long Seek(long offset, SeekOrigin loc) => throw new NotSupportedException();
    }
}
