using System.Security.Cryptography;
using Microsoft.ML.Flooding.Networks;
using Microsoft.ML.Flooding.Persistence;
using Microsoft.ML.Flooding.Runtime;

namespace Microsoft.ML.Flooding.Tests.Transfer;

/// <summary>The list of known weights, and their download from a local server.</summary>
[TestClass]
public sealed class PretrainedModelTests : IDisposable
{
    private static readonly byte[] Content = [.. Enumerable.Range(0, 300_000).Select(i => (byte)(i * 7 / 3))];

    private readonly string _folder = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName());

    public TestContext TestContext { get; set; } = null!;

    public void Dispose()
    {
        if (Directory.Exists(_folder))
            Directory.Delete(_folder, recursive: true);
    }

    [TestMethod]
    public void The_list_agrees_with_itself()
    {
        Assert.IsNotEmpty(PretrainedModels.All);
        CollectionAssert.AllItemsAreUnique(PretrainedModels.All.Select(model => model.FileName).ToList());
        foreach (var model in PretrainedModels.All)
        {
            // torchvision's names end with the first eight digits.
            Assert.AreEqual(Path.GetFileNameWithoutExtension(model.FileName).Split('-')[^1], model.Sha256[..8], model.FileName);
            Assert.AreEqual(64, model.Sha256.Length, model.FileName);
            StringAssert.StartsWith(model.FileName, model.Architecture.Name, model.FileName);
            Assert.AreEqual("https", model.Address.Scheme, model.FileName);
            Assert.IsTrue(model.ImageNetAccuracy is > 0.6 and < 0.9, model.FileName);
            // Four bytes for each parameter of 1,000 classes, the statistics of batch norm, and the names.
            using var network = Create(model.Architecture);
            var values = network.State().Sum(entry => entry.Tensor.numel() * entry.Tensor.ElementSize);
            Assert.IsTrue(model.Bytes > values && model.Bytes < values * 1.02, $"{model}: {model.Bytes} for {values}");
        }
        var properties = typeof(PretrainedModels).GetProperties().Where(p => p.PropertyType == typeof(PretrainedModel));
        CollectionAssert.AreEquivalent(properties.Select(p => p.GetValue(null)).ToList(), PretrainedModels.All.ToList());
    }

    [TestMethod]
    public async Task A_file_is_downloaded_once_and_checked()
    {
        using var server = new LoopbackServer(request => request.SendAsync(Content));
        var model = Describe(server);
        var progress = new List<DownloadProgress>();
        var path = await model.DownloadAsync(_folder, new Reports(progress.Add), TestContext.CancellationToken);
        Assert.AreEqual(Path.Combine(_folder, "weights.pth"), path);
        CollectionAssert.AreEqual(Content, File.ReadAllBytes(path));
        Assert.AreEqual(new DownloadProgress(Content.Length, Content.Length), progress[^1]);
        CollectionAssert.AreEqual(progress.OrderBy(p => p.Received).ToList(), progress);

        Assert.AreEqual(path, model.Download(_folder, cancellationToken: TestContext.CancellationToken));
        Assert.HasCount(1, server.Requests);
        Assert.HasCount(1, Directory.GetFiles(_folder));

        // A file with other content is downloaded again.
        File.WriteAllBytes(path, new byte[Content.Length]);
        model.Download(_folder, cancellationToken: TestContext.CancellationToken);
        CollectionAssert.AreEqual(Content, File.ReadAllBytes(path));
    }

    [TestMethod]
    public async Task A_connection_that_is_cut_off_is_taken_up_where_it_ended()
    {
        using var server = new LoopbackServer(request => request.SendAsync(Content, count: request.Number < 2 ? 100_000 : null));
        var path = await Download(Describe(server));
        CollectionAssert.AreEqual(Content, File.ReadAllBytes(path));
        CollectionAssert.AreEqual(new[] { 0L, 100_000, 200_000 }, server.Requests.Select(request => request.From).ToList());
    }

    [TestMethod]
    public async Task A_server_that_knows_no_ranges_starts_anew()
    {
        using var server = new LoopbackServer(
            request => (request with { From = 0 }).SendAsync(Content, count: request.Number < 1 ? 100_000 : null));
        CollectionAssert.AreEqual(Content, File.ReadAllBytes(await Download(Describe(server))));
        Assert.AreEqual(100_000, server.Requests[1].From);
    }

    [TestMethod]
    public async Task What_an_earlier_program_left_is_gone_on_from_and_what_is_of_another_file_is_not()
    {
        using var server = new LoopbackServer(request => request.SendAsync(Content));
        Directory.CreateDirectory(_folder);
        var partial = Path.Combine(_folder, "weights.pth.partial");
        File.WriteAllBytes(partial, Content[..50_000]);
        CollectionAssert.AreEqual(Content, File.ReadAllBytes(await Download(Describe(server))));
        Assert.AreEqual(50_000, server.Requests.Single().From);

        File.Delete(Path.Combine(_folder, "weights.pth"));
        foreach (var (length, requests) in new[] { (60_000, 2), (Content.Length, 1), (Content.Length + 1, 1) })
        {
            var before = server.Requests.Count;
            File.WriteAllBytes(partial, new byte[length]);
            CollectionAssert.AreEqual(Content, File.ReadAllBytes(await Download(Describe(server))));
            Assert.AreEqual(requests, server.Requests.Count - before);
            File.Delete(Path.Combine(_folder, "weights.pth"));
        }
    }

    [TestMethod]
    public async Task A_slow_server_is_waited_for_and_a_silent_one_is_not()
    {
        using var server = new LoopbackServer(async request =>
        {
            await request.HeadAsync("200 OK", $"Content-Length: {Content.Length}");
            foreach (var part in Content.Chunk(30_000))
            {
                await request.Stream.WriteAsync(part, request.End);
                await Task.Delay(100, request.End);
            }
        });
        // It takes a second in total, and is never silent for half a second.
        CollectionAssert.AreEqual(Content, File.ReadAllBytes(await Download(Describe(server), silence: 0.5)));

        // On a slow machine, a request can end before the client has read anything. The next one gets the same answer.
        using var silent = new LoopbackServer(async request =>
        {
            if (request.From == 0)
            {
                await request.HeadAsync("200 OK", $"Content-Length: {Content.Length}");
                await request.Stream.WriteAsync(Content.AsMemory(0, 1000), request.End);
                await Task.Delay(Timeout.Infinite, request.End);
            }
            else
            {
                await request.SendAsync(Content);
            }
        });
        var other = Describe(silent) with { Address = silent.AddressOf("other.pth") };
        CollectionAssert.AreEqual(Content, File.ReadAllBytes(await Download(other, silence: 0.2)));
        Assert.AreEqual(1000, silent.Requests[^1].From);
    }

    [TestMethod]
    public async Task A_redirect_is_followed()
    {
        using var server = new LoopbackServer(request => request.Path == "/models/weights.pth"
            ? request.HeadAsync("302 Found", "Location: /elsewhere/blob?key=1", "Content-Length: 0")
            : request.SendAsync(Content));
        var path = await Download(Describe(server));
        Assert.AreEqual("weights.pth", Path.GetFileName(path));
        CollectionAssert.AreEqual(Content, File.ReadAllBytes(path));
    }

    [TestMethod]
    public async Task Wrong_content_is_refused_and_leaves_what_was_there()
    {
        Directory.CreateDirectory(_folder);
        var path = Path.Combine(_folder, "weights.pth");
        File.WriteAllText(path, "the user's own");
        byte[] other = [.. Content.Reverse()];
        foreach (var (sent, type, word) in new[]
        {
            (other, "application/octet-stream", "SHA-256"),
            (Content[..1000], "text/html", "text/html"),
            ([.. Content, 1], "application/octet-stream", "300,001"),
        })
        {
            using var server = new LoopbackServer(request => request.SendAsync(sent, claimed: type));
            var e = await Assert.ThrowsExactlyAsync<InvalidDataException>(() => Download(Describe(server)));
            StringAssert.Contains(e.Message, word);
            StringAssert.Contains(e.Message, path);
            Assert.AreEqual("the user's own", File.ReadAllText(path));
        }
        // A response without a length and without an end.
        using var endless = new LoopbackServer(async request =>
        {
            await request.HeadAsync("200 OK");
            for (var i = 0; i < 1000; i++)
                await request.Stream.WriteAsync(Content, request.End);
        });
        await Assert.ThrowsExactlyAsync<InvalidDataException>(() => Download(Describe(endless)));
    }

    [TestMethod]
    public async Task Without_a_network_the_error_says_where_to_put_the_file()
    {
        Uri nobody;
        using (var server = new LoopbackServer(request => request.SendAsync(Content)))
            nobody = server.AddressOf("weights.pth");
        var model = Describe(nobody);
        var e = await Assert.ThrowsExactlyAsync<IOException>(() => Download(model));
        StringAssert.Contains(e.Message, Path.Combine(_folder, "weights.pth"));
        StringAssert.Contains(e.Message, "300,000 bytes");
        StringAssert.Contains(e.Message, model.Sha256[..8], StringComparison.OrdinalIgnoreCase);

        File.WriteAllBytes(Path.Combine(_folder, "weights.pth"), Content);
        Assert.AreEqual(Path.Combine(_folder, "weights.pth"), await Download(model));
    }

    [TestMethod]
    public async Task An_error_of_the_server_is_told_and_one_that_passes_is_tried_again()
    {
        using var gone = new LoopbackServer(request => request.HeadAsync("404 Not Found", "Content-Length: 0"));
        StringAssert.Contains((await Assert.ThrowsExactlyAsync<IOException>(() => Download(Describe(gone)))).Message, "404");
        Assert.HasCount(1, gone.Requests);

        using var busy = new LoopbackServer(
            request => request.Number < 2 ? request.HeadAsync("503 Service Unavailable", "Content-Length: 0") : request.SendAsync(Content));
        CollectionAssert.AreEqual(Content, File.ReadAllBytes(await Download(Describe(busy))));
    }

    [TestMethod]
    public async Task A_download_that_is_stopped_keeps_what_has_arrived()
    {
        using var stop = new CancellationTokenSource();
        using var server = new LoopbackServer(async request =>
        {
            if (request.Number > 0)
            {
                await request.SendAsync(Content);
                return;
            }
            await request.HeadAsync("200 OK", $"Content-Length: {Content.Length}");
            await request.Stream.WriteAsync(Content.AsMemory(0, 2000), request.End);
            await Task.Delay(Timeout.Infinite, request.End);
        });
        var model = Describe(server);
        var progress = new Reports(value =>
        {
            if (value.Received == 2000)
                stop.Cancel();
        });
        await Assert.ThrowsAsync<OperationCanceledException>(() => model.DownloadAsync(_folder, progress, stop.Token));
        Assert.IsFalse(File.Exists(Path.Combine(_folder, "weights.pth")));
        await Download(model);
        Assert.AreEqual(2000, server.Requests[^1].From);
    }

    [TestMethod]
    public void What_cannot_be_right_is_refused()
    {
        var model = PretrainedModels.ResNet18;
        foreach (var (wrong, word) in new[]
        {
            (model with { Address = new Uri("ftp://a/b.pth") }, "Address"), (model with { Address = new Uri("https://a/") }, "Address"),
            (model with { Address = new Uri("b.pth", UriKind.Relative) }, "Address"), (model with { Bytes = 0 }, "Bytes"),
            (model with { Sha256 = "f37072f" }, "Sha256"), (model with { Sha256 = "resnet18-f37072fd" }, "Sha256"),
        })
            StringAssert.Contains(Assert.ThrowsExactly<ArgumentException>(() => wrong.Download(_folder)).Message, word);
        Assert.IsFalse(Directory.Exists(_folder));
    }

    [TestMethod]
    public void A_known_file_brings_its_own_preparation()
    {
        Directory.CreateDirectory(_folder);
        var model = PretrainedModels.MobileNetV2;
        // A sparse file as long as the real one.
        var path = Path.Combine(_folder, model.FileName);
        Assert.IsNull(PretrainedModels.Find(path));
        using (var file = File.Create(path))
            file.SetLength(model.Bytes);
        Assert.AreSame(model, PretrainedModels.Find(path));
        Assert.AreEqual(224.0 / 232, ImagePreparation.Of(PretrainedModels.Find(path)!.Preprocessing).CenterCrop);
    }

    private Task<string> Download(PretrainedModel model, double silence = 10) =>
        new FileDownload(model.File, _folder) { Silence = TimeSpan.FromSeconds(silence), Pause = TimeSpan.FromMilliseconds(1) }
            .RunAsync(null, TestContext.CancellationToken);

    private static PretrainedModel Describe(LoopbackServer server) => Describe(server.AddressOf("models/weights.pth"));

    private static PretrainedModel Describe(Uri address) => PretrainedModels.ResNet18 with
    {
        Address = address,
        Bytes = Content.Length,
        Sha256 = Convert.ToHexString(SHA256.HashData(Content))[..8],
    };

    private static Network Create(Architecture architecture) => architecture.CreateEmpty(new(224, 224, 3), 1000);

    private sealed class Reports(Action<DownloadProgress> take) : IProgress<DownloadProgress>
    {
        public void Report(DownloadProgress value) => take(value);
    }
}
