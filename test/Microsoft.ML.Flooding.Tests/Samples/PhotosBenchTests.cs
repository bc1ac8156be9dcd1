using System.Diagnostics;
using System.IO.Compression;
using SkiaSharp;

namespace Microsoft.ML.Flooding.Tests.Samples;

/// <summary><c>bench photos</c> in a separate process, on small images of two colors.</summary>
[TestClass]
public sealed class PhotosBenchTests
{
    [TestMethod]
    public void Methods_are_compared_on_a_folder_and_on_a_zip_file()
    {
        using var photos = new ColoredPhotos();
        var (exitCode, output, errors) = Run(
            photos.Folder, photos.Zip, "--seeds", "1", "--per-class", "3", "--noise", "0", "--only", "lbfgs,frozen");
        Assert.AreEqual(0, exitCode, errors);
        // Red and blue are easy, and a fifth of 10 photos of each class is the test set.
        foreach (var name in new[] { Path.GetFileName(photos.Folder), "photos" })
        {
            StringAssert.Contains(output, $"{name}, 3 photos of each class, 0 % wrong labels, 4 test photos", StringComparison.Ordinal);
            foreach (var method in new[] { "lbfgs", "frozen" })
                StringAssert.Contains(errors, $"{name}, 6 photos, 0 % wrong, seed 1, {method}: PhotoFigures {{ Accuracy = 1,");
        }
    }

    [TestMethod]
    [DataRow("--noise", "1", "'1'")]
    [DataRow("--per-class", "10,0", "'0'")]
    [DataRow("--only", "magic", "'magic'")]
    public void A_wrong_argument_is_named(string option, string value, string named)
    {
        var (exitCode, _, errors) = Run(Path.GetTempPath(), option, value);
        Assert.AreNotEqual(0, exitCode);
        StringAssert.Contains(errors, option);
        StringAssert.Contains(errors, named);
    }

    private static (int ExitCode, string Output, string Errors) Run(params string[] arguments)
    {
        const string Program = "Microsoft.ML.Flooding.Benchmarks";
        // .../Microsoft.ML.Flooding.Tests/bin/Release/net10.0
        var own = new DirectoryInfo(AppContext.BaseDirectory);
        var folder = Path.Combine(Artifacts.Repository, "test", Program, "bin", own.Parent!.Name, own.Name);
        var start = new ProcessStartInfo("dotnet", [Path.Combine(folder, $"{Program}.dll"), "photos", .. arguments])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.Environment["DOTNET_SYSTEM_GLOBALIZATION_INVARIANT"] = "1";
        using var process = Process.Start(start)!;
        var errors = process.StandardError.ReadToEndAsync();
        var output = process.StandardOutput.ReadToEnd();
        process.WaitForExit();
        return (process.ExitCode, output, errors.Result);
    }

    /// <summary>Ten red and ten blue photos, as a folder and as a .zip file.</summary>
    private sealed class ColoredPhotos : IDisposable
    {
        private readonly DirectoryInfo _root = Directory.CreateTempSubdirectory("flooding-bench-");

        public ColoredPhotos()
        {
            Folder = Path.Combine(_root.FullName, "set");
            Zip = Path.Combine(_root.FullName, "photos.zip");
            foreach (var (name, color) in new[] { ("red", SKColors.Red), ("blue", SKColors.Blue) })
            {
                var folder = Directory.CreateDirectory(Path.Combine(Folder, name)).FullName;
                for (var i = 0; i < 10; i++)
                {
                    using var bitmap = new SKBitmap(32, 32);
                    bitmap.Erase(color);
                    bitmap.SetPixel(i, i, SKColors.White);
                    using var file = File.Create(Path.Combine(folder, $"{i}.png"));
                    bitmap.Encode(file, SKEncodedImageFormat.Png, 100);
                }
            }
            ZipFile.CreateFromDirectory(Folder, Zip);
        }

        public string Folder { get; }

        public string Zip { get; }

        public void Dispose() => _root.Delete(recursive: true);
    }
}
