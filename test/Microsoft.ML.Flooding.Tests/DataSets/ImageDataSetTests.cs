using System.Security.Cryptography;
using Microsoft.ML.Flooding.Runtime;
using Microsoft.ML.Flooding.Tests.Transfer;
using static Microsoft.ML.Flooding.Tests.Images.TestImages;

namespace Microsoft.ML.Flooding.Tests.DataSets;

/// <summary>The list of data sets, and their download from a local server.</summary>
[TestClass]
public sealed class ImageDataSetTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    public TestContext TestContext { get; set; } = null!;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [TestMethod]
    public void The_list_agrees_with_itself()
    {
        CollectionAssert.AllItemsAreUnique(ImageDataSets.All.Select(set => set.Name).ToList());
        foreach (var set in ImageDataSets.All)
        {
            Assert.IsNotEmpty(set.FileNames);
            StringAssert.EndsWith(set.DefaultFolder, Path.Combine("Microsoft.ML.Flooding", "datasets", set.Name));
            var e = Assert.ThrowsExactly<FileNotFoundException>(() => set.Load(Context.Data, folder: _folder));
            StringAssert.Contains(e.Message, set.FileNames[0]);
        }
        var properties = typeof(ImageDataSets).GetProperties().Where(p => p.PropertyType == typeof(ImageDataSet));
        CollectionAssert.AreEquivalent(properties.Select(p => p.GetValue(null)).ToList(), ImageDataSets.All.ToList());
        Assert.ThrowsExactly<ArgumentOutOfRangeException>(() => ImageDataSets.Mnist.Load(Context.Data, (DataSetPart)7, _folder));
    }

    [TestMethod]
    public async Task Files_are_downloaded_and_loaded_with_one_progress()
    {
        byte[][] contents = [[0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 7], [0, 0, 8, 1, 0, 0, 0, 1, 3]];
        using var server = new LoopbackServer(
            request => request.SendAsync(contents[request.Path.Contains("labels", StringComparison.Ordinal) ? 1 : 0]));
        var files = ImageDataSets.Mnist.FileNames.Take(2).Zip(contents, (name, content) =>
            new RemoteFile(new Uri("https://nowhere.invalid/" + name), content.Length, Convert.ToHexString(SHA256.HashData(content))));
        var set = new ImageDataSet("test", "A test.", [.. files], DataSetCatalog.LoadFromMnist).WithMirror(server.AddressOf(""));

        var progress = new Reports();
        Assert.AreEqual(_folder, await set.DownloadAsync(_folder, progress, TestContext.CancellationToken));
        Assert.AreEqual(new DownloadProgress(26, 26), progress[^1]);
        Assert.AreEqual("3", Rows.Of(set.Load(Context.Data, folder: _folder)).Single().Label);

        await set.DownloadAsync(_folder, cancellationToken: TestContext.CancellationToken);
        Assert.HasCount(2, server.Requests, "nothing is downloaded twice");
    }

    private sealed class Reports : List<DownloadProgress>, IProgress<DownloadProgress>
    {
        public void Report(DownloadProgress value) => Add(value);
    }
}
