using System.Diagnostics;
using Microsoft.ML.Flooding.Images;

namespace Microsoft.ML.Flooding.Tests.Scoring;

/// <summary>Saving fails in every way, and the previous file survives.</summary>
[TestClass]
public sealed class SafeSavingTests
{
    private readonly MLContext _context = new();
    private readonly string _folder = Directory.CreateTempSubdirectory("flooding-save-").FullName;

    [TestCleanup]
    public void DeleteFolder() => Directory.Delete(_folder, recursive: true);

    [TestMethod]
    public void The_saved_file_loads_takes_the_place_of_the_old_one_and_leaves_nothing_beside_it()
    {
        using var model = CreateModel();
        var path = Path.Combine(_folder, "model.zip");
        File.WriteAllText(path, "old");

        _context.Model.SaveSafely(model, null, path);

        Assert.IsInstanceOfType<FloodedImageClassificationTransformer>(_context.Model.Load(path, out var _));
        CollectionAssert.AreEqual(new[] { path }, Directory.GetFileSystemEntries(_folder));
    }

    [TestMethod]
    public void A_model_that_cannot_be_saved_leaves_the_old_file()
    {
        var path = Path.Combine(_folder, "model.zip");
        File.WriteAllText(path, "old");
        var model = CreateModel();
        model.Dispose();

        Assert.ThrowsExactly<ObjectDisposedException>(() => _context.Model.SaveSafely(model, null, path));

        Assert.AreEqual("old", File.ReadAllText(path));
        CollectionAssert.AreEqual(new[] { path }, Directory.GetFileSystemEntries(_folder));
    }

    [TestMethod]
    public void A_folder_that_is_gone_is_named()
    {
        using var model = CreateModel();
        var error = Assert.ThrowsExactly<DirectoryNotFoundException>(
            () => _context.Model.SaveSafely(model, null, Path.Combine(_folder, "gone", "model.zip")));
        StringAssert.Contains(error.Message, "gone", StringComparison.Ordinal);
    }

    [TestMethod]
    public void A_locked_file_is_refused_as_Save_refuses_it()
    {
        using var model = CreateModel();
        var path = Path.Combine(_folder, "model.zip");
        File.WriteAllText(path, "old");
        using (var locked = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.None))
        {
            Assert.ThrowsExactly<IOException>(() => _context.Model.Save(model, null, path));
            Assert.ThrowsExactly<IOException>(() => _context.Model.SaveSafely(model, null, path));
        }

        Assert.AreEqual("old", File.ReadAllText(path));
        CollectionAssert.AreEqual(new[] { path }, Directory.GetFileSystemEntries(_folder));
    }

    [TestMethod]
    public void A_file_that_is_being_read_is_replaced_whole_or_not_at_all()
    {
        using var model = CreateModel();
        var path = Path.Combine(_folder, "model.zip");
        File.WriteAllText(path, "old");
        using (var reader = new StreamReader(path))
        {
            // Windows refuses. On other systems, a process that has the old file open keeps it.
            try
            {
                _context.Model.SaveSafely(model, null, path);
            }
            catch (Exception e) when (OperatingSystem.IsWindows() && e is IOException or UnauthorizedAccessException)
            {
            }
            Assert.AreEqual("old", reader.ReadToEnd());
        }

        CollectionAssert.AreEqual(new[] { path }, Directory.GetFileSystemEntries(_folder));
        Assert.IsTrue(OperatingSystem.IsWindows() ? File.ReadAllText(path) == "old" : _context.Model.Load(path, out var _) is not null);
    }

    [TestMethod]
    public void A_full_disk_leaves_the_old_file()
    {
        if (!OperatingSystem.IsLinux() || Run("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", _folder) != 0)
            Assert.Inconclusive("No small file system can be mounted here.");
        try
        {
            using var model = RandomModel.Create(_context, Architecture.Mlp.WithHiddenSizes(500), new ImageShape(8, 8, 3));
            var path = Path.Combine(_folder, "model.zip");
            File.WriteAllText(path, "old");

            Assert.ThrowsExactly<IOException>(() => _context.Model.SaveSafely(model, null, path));

            Assert.AreEqual("old", File.ReadAllText(path));
            CollectionAssert.AreEqual(new[] { path }, Directory.GetFileSystemEntries(_folder));
        }
        finally
        {
            Run("umount", _folder);
        }
    }

    [TestMethod]
    public void A_process_killed_while_saving_leaves_the_old_file()
    {
        var path = Path.Combine(_folder, "model.zip");
        File.WriteAllText(path, "old");
        var start = new ProcessStartInfo(
            Environment.ProcessPath!, ["--filter", $"FullyQualifiedName~{nameof(Saves_without_end_for_another_test_to_kill)}"])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            Environment = { [EndlessPath] = path },
        };
        if (Path.GetFileNameWithoutExtension(start.FileName) == "dotnet")
            start.ArgumentList.Insert(0, typeof(SafeSavingTests).Assembly.Location);
        using var process = Process.Start(start)!;
        process.OutputDataReceived += (_, _) => { };
        process.ErrorDataReceived += (_, _) => { };
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        try
        {
            Assert.IsTrue(
                SpinWait.SpinUntil(() => Directory.GetFiles(_folder, "*.tmp").Length > 0, TimeSpan.FromMinutes(2)),
                "It never began to save.");
        }
        finally
        {
            process.Kill(entireProcessTree: true);
            process.WaitForExit();
        }

        Assert.IsTrue(File.ReadAllText(path) == "old" || _context.Model.Load(path, out var _) is not null);
    }

    private const string EndlessPath = "FLOODING_SAVE_WITHOUT_END";

    [TestMethod]
    public void Saves_without_end_for_another_test_to_kill()
    {
        if (Environment.GetEnvironmentVariable(EndlessPath) is not { Length: > 0 } path)
            return;
        using var model = RandomModel.Create(_context, Architecture.Mlp.WithHiddenSizes(2000, 2000), new ImageShape(8, 8, 3));
        for (var i = 0; i < 1000; i++)
            _context.Model.SaveSafely(model, null, path);
    }

    private FloodedImageClassificationTransformer CreateModel() =>
        RandomModel.Create(_context, Architecture.Mlp.WithHiddenSizes(6), new ImageShape(8, 8, 3));

    private static int Run(string command, params string[] arguments)
    {
        try
        {
            using var process = Process.Start(new ProcessStartInfo(command, arguments) { RedirectStandardError = true })!;
            process.WaitForExit();
            return process.ExitCode;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            return -1;
        }
    }
}
