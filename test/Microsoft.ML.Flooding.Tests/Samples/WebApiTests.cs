using System.Net;
using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using Microsoft.ML.Flooding.Tests.Scoring;
using SkiaSharp;

namespace Microsoft.ML.Flooding.Tests.Samples;

/// <summary>The web sample as its visitors use it: over HTTP, from another process, and in a browser.</summary>
[TestClass]
public sealed class WebApiTests
{
    private const int Uploads = 400;
    private const int Visitors = 16;

    private static readonly string[] Examples =
        [.. Directory.GetFiles(Path.Combine(WebApiProcess.Folder, "wwwroot", "examples")).Order(StringComparer.Ordinal)];

    private static WebApiProcess? _sample;

    public static IEnumerable<object[]> Readable => HostileImages.Readable.Select(pair => new object[] { pair.Key });

    public static IEnumerable<object[]> Unreadable => HostileImages.Unreadable.Select(pair => new object[] { pair.Key });

    private static HttpClient Client => _sample!.Client;

    [ClassInitialize]
    public static async Task Start(TestContext _)
    {
        // As at the first start: the sample must train its model.
        File.Delete(WebApiProcess.Model);
        _sample = await WebApiProcess.StartAsync();
    }

    [ClassCleanup]
    public static void Stop() => _sample?.Dispose();

    [TestMethod]
    public async Task It_says_that_it_is_healthy_and_what_it_knows()
    {
        var health = await Client.GetFromJsonAsync<JsonElement>("health");
        Assert.AreEqual("healthy", health.GetProperty("status").GetString());
        Assert.AreEqual(10, health.GetProperty("labels").GetArrayLength());
        Assert.IsTrue(File.Exists(WebApiProcess.Model));
    }

    [TestMethod]
    public async Task Its_own_model_knows_most_of_the_examples()
    {
        var known = 0;
        foreach (var path in Examples)
            known += Name((await PredictAsync(File.ReadAllBytes(path)))[0].Label) == Path.GetFileNameWithoutExtension(path) ? 1 : 0;
        Assert.HasCount(10, Examples);
        Assert.IsGreaterThanOrEqualTo(7, known);

        static string Name(string label) => string.Join('-', label.ToLowerInvariant().Split(' ', '/'));
    }

    [TestMethod]
    public async Task Hundreds_of_uploads_at_once_get_the_bits_that_each_gets_alone()
    {
        var files = Examples.Select(File.ReadAllBytes)
            .Concat(HostileImages.Readable.Where(pair => pair.Value.Length < 2000).Select(pair => pair.Value)).ToArray();
        var broken = HostileImages.Unreadable.Values.ToArray();
        var context = new MLContext();
        using var model = (FloodedImageClassificationTransformer)context.Model.LoadSafely(WebApiProcess.Model, out var _);
        using var engine = context.Model.CreatePredictionEngine<HostileImageTests.FileRow, ImagePrediction>(
            model, new PredictionEngineOptions { OwnsTransformer = false });
        var expected = files.Select(file => engine.Predict(new HostileImageTests.FileRow { Features = file }).Score
            .Zip(model.Labels, (score, label) => new Prediction(label, score))
            .OrderByDescending(p => p.Probability).Take(5).ToArray()).ToArray();
        var (answered, refused) = (0, 0);

        await Parallel.ForAsync(0, Uploads, new ParallelOptions { MaxDegreeOfParallelism = Visitors }, async (i, _) =>
        {
            if (i % 8 == 7)
            {
                using var refusal = await PostAsync(broken[i / 8 % broken.Length]);
                Assert.IsTrue((int)refusal.StatusCode is >= 400 and < 500);
                Interlocked.Increment(ref refused);
                return;
            }
            CollectionAssert.AreEqual(expected[i % files.Length], await PredictAsync(files[i % files.Length]));
            Interlocked.Increment(ref answered);
        });

        Assert.AreEqual(Uploads, answered + refused);
        Assert.AreEqual(Uploads / 8, refused);
    }

    [TestMethod]
    [DynamicData(nameof(Readable))]
    public async Task Odd_images_get_five_probabilities(string name)
    {
        var predictions = await PredictAsync(HostileImages.Readable[name]);
        Assert.HasCount(5, predictions);
        Assert.IsTrue(predictions.All(p => p.Probability is >= 0 and <= 1));
    }

    [TestMethod]
    [DynamicData(nameof(Unreadable))]
    public async Task Broken_images_get_a_problem(string name)
    {
        using var response = await PostAsync(HostileImages.Unreadable[name]);
        await AssertProblemAsync(response);
    }

    [TestMethod]
    public async Task What_is_too_large_gets_a_problem_that_says_so()
    {
        using var justTooLarge = await PostAsync(new byte[(10 << 20) + 1]);
        using var farTooLarge = await PostAsync(new byte[40 << 20]);
        using var tooManyPixels = await PostAsync(HostileImages.Unreadable["bomb"]);
        var refusals = new[] { (justTooLarge, "10 MB"), (farTooLarge, "10 MB"), (tooManyPixels, "60000 x 60000 pixels") };
        foreach (var (response, reason) in refusals)
        {
            Assert.AreEqual(HttpStatusCode.RequestEntityTooLarge, response.StatusCode);
            StringAssert.Contains(await AssertProblemAsync(response), reason, StringComparison.Ordinal);
        }
    }

    [TestMethod]
    [DataRow(
        "multipart/form-data; boundary=b",
        "--b\r\nContent-Disposition: form-data; name=\"picture\"; filename=\"a.png\"\r\n\r\nx\r\n--b--\r\n")]
    [DataRow("multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\ntext\r\n--b--\r\n")]
    [DataRow("multipart/form-data; boundary=b", "--b--\r\n")]
    [DataRow("multipart/form-data; boundary=b", "cut short")]
    [DataRow("multipart/form-data", "without a boundary")]
    [DataRow("application/x-www-form-urlencoded", "file=abc")]
    [DataRow("application/json", "{ \"file\": null }")]
    public async Task What_is_no_form_with_a_file_gets_a_problem_that_names_the_field(string type, string body)
    {
        using var content = new ByteArrayContent(Encoding.UTF8.GetBytes(body));
        content.Headers.TryAddWithoutValidation("Content-Type", type);
        using var response = await Client.PostAsync(new Uri("predict", UriKind.Relative), content);
        StringAssert.Contains(await AssertProblemAsync(response), "'file'", StringComparison.Ordinal);
    }

    [TestMethod]
    public async Task A_browser_shows_predictions_and_refusals_in_both_schemes()
    {
        if (Browser.Executable is not { } executable)
        {
            Assert.Inconclusive("No Chromium was found.");
            return;
        }
        await using var browser = await Browser.StartAsync(executable, 900, 760);
        await browser.OpenAsync(Client.BaseAddress!);
        await browser.WaitForAsync("document.querySelectorAll('#examples img').length === 10");

        await browser.ChooseFileAsync("#file", Examples.Single(path => path.EndsWith("ankle-boot.png", StringComparison.Ordinal)));
        await AssertShowsAsync(browser, "light");
        await browser.EvaluateAsync(
            """
            fetch('examples/sandal.png').then(response => response.blob()).then(blob => {
              const dataTransfer = new DataTransfer();
              dataTransfer.items.add(new File([blob], 'sandal.png'));
              document.getElementById('result').replaceChildren();
              document.getElementById('drop').dispatchEvent(new DragEvent('drop', { dataTransfer, bubbles: true, cancelable: true }));
            })
            """);
        await AssertShowsAsync(browser, "dark");
        Assert.IsEmpty(browser.Complaints, string.Join('\n', browser.Complaints));

        await browser.ChooseFileAsync("#file", typeof(WebApiTests).Assembly.Location);
        await browser.WaitForAsync(
            "document.querySelector('[role=alert]')?.textContent.includes('JPEG') && !document.querySelector('#shown img')");
        await SaveAsync(browser, "refused");
    }

    private static async Task AssertShowsAsync(Browser browser, string scheme)
    {
        await browser.PreferAsync(scheme);
        await browser.WaitForAsync("document.querySelectorAll('#result li').length === 5 && document.querySelector('#shown img').complete");
        var shown = (await browser.EvaluateAsync(
            "[...document.querySelectorAll('#result li')]"
            + ".map(li => [parseFloat(li.querySelector('span + span').textContent), li.querySelector('i').offsetWidth])"))
            .Deserialize<double[][]>()!;
        Assert.IsTrue(
            shown.Zip(shown.Skip(1)).All(pair => pair.First[0] >= pair.Second[0] && pair.First[1] >= pair.Second[1]),
            "The longest bar is the first.");
        Assert.IsGreaterThan(30, shown[0][0]);

        using var image = SKBitmap.Decode(await SaveAsync(browser, scheme));
        image.GetPixel(5, 5).ToHsv(out var _, out var _, out var paper);
        Assert.IsTrue(scheme == "dark" ? paper < 20 : paper > 90, $"paper of brightness {paper}");
    }

    private static async Task<byte[]> SaveAsync(Browser browser, string name)
    {
        var screenshot = await browser.ScreenshotAsync();
        await File.WriteAllBytesAsync(Path.Combine(Artifacts.Folder("web"), $"{name}.png"), screenshot);
        return screenshot;
    }

    private static async Task<Prediction[]> PredictAsync(byte[] file)
    {
        using var response = await PostAsync(file);
        var body = await response.Content.ReadAsStringAsync();
        Assert.AreEqual(HttpStatusCode.OK, response.StatusCode, body);
        return JsonSerializer.Deserialize<Prediction[]>(body, JsonSerializerOptions.Web)!;
    }

    private static async Task<HttpResponseMessage> PostAsync(byte[] file)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "predict");
        request.Content = new MultipartFormDataContent { { new ByteArrayContent(file), "file", "upload.jpg" } };
        // The server can refuse a file by its length, before 40 MB are sent.
        request.Headers.ExpectContinue = file.Length > 1 << 20;
        return await Client.SendAsync(request);
    }

    private static async Task<string> AssertProblemAsync(HttpResponseMessage response)
    {
        Assert.IsTrue((int)response.StatusCode is >= 400 and < 500, $"{response.StatusCode}");
        Assert.AreEqual("application/problem+json", response.Content.Headers.ContentType?.MediaType);
        var problem = await response.Content.ReadFromJsonAsync<JsonElement>();
        Assert.AreEqual((int)response.StatusCode, problem.GetProperty("status").GetInt32());
        var detail = problem.GetProperty("detail").GetString()!;
        Assert.IsGreaterThan(15, detail.Length);
        return detail;
    }

    private sealed record Prediction(string Label, float Probability);
}
