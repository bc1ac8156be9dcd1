using System.Diagnostics;
using System.Globalization;

namespace Mlflood.Tests;

/// <summary>The tool in two processes that mpirun starts.</summary>
[TestClass]
public sealed class RankTests
{
    private static readonly (string, string)[] AsRoot = [("OMPI_ALLOW_RUN_AS_ROOT", "1"), ("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")];

    private string _folder = "";

    [TestInitialize]
    public void CreateFolder()
    {
        var folders = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(Path.PathSeparator);
        if (!folders.Any(folder => File.Exists(Path.Combine(folder, "mpirun"))))
            Assert.Inconclusive("mpirun is not on the PATH. On Debian and Ubuntu, install the package openmpi-bin.");
        _folder = Directory.CreateTempSubdirectory("mlflood-ranks-").FullName;
        Photos.Write(Path.Combine(_folder, "photos"), "train", 20);
    }

    [TestCleanup]
    public void DeleteFolder()
    {
        if (_folder.Length > 0)
            Directory.Delete(_folder, recursive: true);
    }

    [TestMethod]
    public void One_process_writes_to_the_screen_and_saves_the_model()
    {
        using var tool = Start("dotnet", ToolProcess.Program, "train", "photos", "--epochs", "1", "--data-parallel", "mpi");
        var result = tool.Finish().Expect(0);
        foreach (var (text, written) in new[]
        {
            ("Training on 64 images of 4 classes.", result.Error), ("epoch 1/1 ", result.Error), ("Held-out images", result.Output),
            ("Wrote " + Path.Combine(_folder, "model.zip"), result.Output),
        })
            Assert.HasCount(2, written.Split(text), $"'{text}' once in {written}");
        Assert.IsTrue(File.Exists(Path.Combine(_folder, "model.zip")));
    }

    [TestMethod]
    public void A_signal_to_any_process_stops_all_and_saves_the_model_as_trained_so_far()
    {
        if (!OperatingSystem.IsLinux())
            return;
        using var tool = Start("dotnet", ToolProcess.Program, "train", "photos", "--epochs", "100000", "--data-parallel", "mpi");
        tool.WaitFor("epoch 2/100000");
        using (var kill = Process.Start("kill", ["-INT", tool.ChildWith("OMPI_COMM_WORLD_RANK=1").ToString(CultureInfo.InvariantCulture)]))
            kill.WaitForExit();
        var result = tool.Finish().Expect(3);
        StringAssert.Contains(result.Output, "Wrote " + Path.Combine(_folder, "model.zip"));
        ToolProcess.Run(_folder, "inspect", "model.zip").Expect(0);
    }

    /// <summary>As on a machine that lacks the data. The other process waits for this one.</summary>
    [TestMethod]
    public void A_process_that_fails_ends_the_other()
    {
        using var tool = Start(
            "sh", "-c",
            $"[ $OMPI_COMM_WORLD_RANK = 0 ] || set nothing; exec dotnet '{ToolProcess.Program}' train $1 --epochs 1 --data-parallel mpi",
            "sh", "photos");
        var result = tool.Finish();
        Assert.AreNotEqual(0, result.ExitCode);
        StringAssert.Contains(result.Error, "error: 'nothing' is not a folder");
    }

    [TestMethod]
    public void A_wrong_option_is_explained_once()
    {
        using var tool = Start("dotnet", ToolProcess.Program, "train", "photos", "--epochs", "0", "--data-parallel", "mpi");
        var result = tool.Finish().Expect(1);
        Assert.HasCount(2, result.Error.Split("--epochs is 0."), result.Error);
    }

    private ToolProcess Start(params string[] command) =>
        ToolProcess.Start("mpirun", _folder, ["--oversubscribe", "-n", "2", .. command], AsRoot);
}
