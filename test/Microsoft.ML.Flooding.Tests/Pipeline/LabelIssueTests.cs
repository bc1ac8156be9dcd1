using Microsoft.ML.Data;

namespace Microsoft.ML.Flooding.Tests.Pipeline;

/// <summary>Wrong labels that were planted are found.</summary>
[TestClass]
public sealed class LabelIssueTests
{
    private const int Count = 800;

    private static string Folder { get; } = Artifacts.Folder("label-issues");

    private static MLContext Context { get; } = new(seed: 1);

    private static FashionMnistData.Row[] Rows { get; set; } = [];

    private static HashSet<long> Planted { get; } = [];

    private static IDataView Data { get; set; } = null!;

    private static LabelIssues Found { get; set; } = null!;

    [ClassInitialize]
    public static void Find(TestContext _)
    {
        Rows = [.. FashionMnistData.Rows("train", Count)];
        string[] classes = [.. Rows.Select(row => row.Class).Distinct()];
        var random = new Random(1);
        foreach (var row in Enumerable.Range(0, Count).OrderBy(_ => random.Next()).Take(Count / 5))
        {
            Planted.Add(row);
            Rows[row].Class = classes[(Array.IndexOf(classes, Rows[row].Class) + random.Next(1, classes.Length)) % classes.Length];
        }
        // An exact copy, and a copy that is a little brighter, with other labels.
        Rows[1].Features = Rows[0].Features;
        Rows[1].Class = Rows[0].Class == "Bag" ? "Boot" : "Bag";
        Rows[3].Features = [.. Rows[2].Features.Select(value => value is > 0 and < 250 ? value + 3 : value)];
        Rows[3].Class = Rows[2].Class == "Bag" ? "Boot" : "Bag";
        Data = Context.Transforms.Conversion.MapValueToKey("Label", nameof(FashionMnistData.Row.Class))
            .Fit(Context.Data.LoadFromEnumerable(Rows)).Transform(Context.Data.LoadFromEnumerable(Rows));
        Found = Context.MulticlassClassification.FindLabelIssues(Data, new FloodedImageClassificationTrainer.Options
        {
            Architecture = Architecture.Mlp.WithHiddenSizes(200),
            Epochs = 20,
        });
    }

    [TestMethod]
    public void Most_of_the_first_images_are_planted()
    {
        Assert.HasCount(Count, Found.Ranking);
        var hits = Found.Ranking.Take(Planted.Count).Count(image => Planted.Contains(image.Row));
        Assert.IsGreaterThan(0.7 * Planted.Count, hits, $"{hits} of {Planted.Count}");
        var suspected = Found.Issues.Count(image => Planted.Contains(image.Row));
        Assert.IsGreaterThan(0.5 * Found.Issues.Count, suspected, $"{suspected} of {Found.Issues.Count} are planted");
        Assert.IsGreaterThan(0.6 * Planted.Count, suspected, $"{suspected} of {Planted.Count} are found");
        Assert.IsTrue(Found.EstimatedCount is > Count * 0.1 and < Count * 0.5, $"{Found.EstimatedCount}");
    }

    [TestMethod]
    public void Each_issue_names_the_row_its_label_and_a_better_one()
    {
        var truth = FashionMnistData.Rows("train", Count);
        var right = Found.Issues.Where(issue => Planted.Contains(issue.Row) && issue.Row > 3)
            .Average(issue => issue.SuggestedLabel == truth[(int)issue.Row].Class ? 1.0 : 0);
        Assert.IsGreaterThan(0.6, right);
        foreach (var issue in Found.Issues)
        {
            Assert.AreEqual(Rows[issue.Row].Class, issue.Label);
            Assert.AreNotEqual(issue.Label, issue.SuggestedLabel);
            Assert.AreEqual(issue.Label, issue.Texts["Class"]);
            Assert.IsGreaterThan(issue.SelfConfidence, issue.SuggestedProbability);
            Assert.AreEqual((issue.SelfConfidence - issue.SuggestedProbability + 1) / 2, issue.NormalizedMargin, 1e-6);
        }
        var confidences = Found.Ranking.Select(image => image.SelfConfidence).ToArray();
        CollectionAssert.AreEqual(confidences.Order().ToArray(), confidences);
    }

    [TestMethod]
    public void Copies_with_different_labels_are_found()
    {
        var exact = Found.Duplicates.Single(group => group.Rows.Contains(0L));
        CollectionAssert.AreEqual(new[] { 0L, 1 }, exact.Rows.ToArray());
        CollectionAssert.AreEqual(new[] { Rows[0].Class, Rows[1].Class }, exact.Labels.ToArray());
        Assert.IsTrue(exact.IsExact);
        var similar = Found.Duplicates.Single(group => group.Rows.Contains(2L));
        CollectionAssert.IsSubsetOf(new[] { 2L, 3 }, similar.Rows.ToArray());
        Assert.IsFalse(similar.IsExact);
        Assert.IsLessThan(20, Found.Duplicates.Count, "few images of Fashion-MNIST look the same");
    }

    [TestMethod]
    public void The_columns_belong_to_their_rows_and_filter_them()
    {
        var view = Found.AddTo(Data);
        var issues = view.GetColumn<bool>("IsLabelIssue").ToArray();
        var qualities = view.GetColumn<float>("LabelQuality").ToArray();
        var suggested = view.GetColumn<string>("SuggestedLabel").ToArray();
        Assert.HasCount(Count, issues);
        foreach (var image in Found.Ranking)
        {
            Assert.AreEqual(image.IsSuspected, issues[image.Row]);
            Assert.AreEqual(image.SelfConfidence, qualities[image.Row], 1e-6);
            Assert.AreEqual(image.SuggestedLabel, suggested[image.Row]);
        }
        var kept = Found.RemoveFrom(Data).GetColumn<int>(nameof(FashionMnistData.Row.Id)).ToArray();
        CollectionAssert.AreEqual(Enumerable.Range(0, Count).Where(row => !issues[row]).ToArray(), kept);
        StringAssert.Contains(
            Assert.ThrowsExactly<ArgumentException>(() => Found.AddTo(Context.Data.LoadFromEnumerable(Rows.Take(5).ToList()))).Message,
            "5 rows");
    }

    [TestMethod]
    public void Overlaps_count_the_wrong_labels_between_two_classes()
    {
        Assert.AreEqual(Found.EstimatedCount, Found.Overlaps.Sum(o => o.Count));
        foreach (var overlap in Found.Overlaps)
        {
            Assert.AreEqual(overlap.Share, overlap.Count / Rows.Count(row => row.Class == overlap.Label), 1e-9);
            Assert.AreNotEqual(overlap.Label, overlap.TrueLabel);
        }
        var counts = Found.Overlaps.Select(o => o.Count).ToArray();
        CollectionAssert.AreEqual(counts.OrderDescending().ToArray(), counts);
    }

    [TestMethod]
    public void The_CSV_has_a_line_for_each_issue()
    {
        var path = Path.Combine(Folder, "issues.csv");
        Found.SaveCsv(path);
        var lines = File.ReadAllLines(path);
        Assert.HasCount(Found.Issues.Count + 1, lines);
        Assert.AreEqual("Row,Label,SuggestedLabel,SuggestedProbability,SelfConfidence,NormalizedMargin,Class", lines[0]);
        StringAssert.StartsWith(lines[1], FormattableString.Invariant($"{Found.Issues[0].Row},{Found.Issues[0].Label},"));
    }

    [TestMethod]
    public async Task A_browser_shows_the_report_with_its_thumbnails()
    {
        var path = Path.Combine(Folder, "issues.html");
        Found.SaveReport(path, "Labels <of> Fashion-MNIST");
        StringAssert.Contains(File.ReadAllText(path), "Labels &lt;of&gt; Fashion-MNIST");
        if (Browser.Executable is not { } executable)
        {
            Assert.Inconclusive("No Chromium was found.");
            return;
        }
        await using var browser = await Browser.StartAsync(executable, 900, 800);
        await browser.OpenAsync(new Uri(path));
        const string Loaded =
            "new Promise(done => { const look = () => document.readyState === 'complete' ? "
            + "done([...document.images].filter(i => i.complete && i.naturalWidth === 28 && i.naturalHeight === 28).length) "
            + ": setTimeout(look, 20); look(); })";
        var pictures = (await browser.EvaluateAsync(Loaded)).GetInt32();
        Assert.AreEqual(Found.Issues.Count + Found.Duplicates.Sum(group => group.Rows.Count), pictures);
        Assert.IsEmpty(browser.Complaints, string.Join('\n', browser.Complaints));
    }

    [TestMethod]
    public void Images_that_cannot_be_read_are_left_out_and_the_rows_stay_those_of_the_data()
    {
        var files = Enumerable.Range(0, 12).Select(i => new Encoded { Label = i % 2 == 0 ? "a" : "b", Image = Png(i) }).ToArray();
        files[0].Image = [1, 2, 3];
        files[5].Image = [];
        var view = Context.Data.LoadFromEnumerable(files);
        var keys = Context.Transforms.Conversion.MapValueToKey("Label").Fit(view).Transform(view);
        var found = Context.MulticlassClassification.FindLabelIssues(
            keys, ShortRun.Options(o => (o.FeatureColumnName, o.OnInvalidImage) = ("Image", OnInvalidImage.Skip)));
        CollectionAssert.AreEqual(
            new long[] { 1, 2, 3, 4, 6, 7, 8, 9, 10, 11 }, found.Ranking.Select(image => image.Row).Order().ToArray());
        foreach (var image in found.Ranking)
            Assert.AreEqual(files[image.Row].Label, image.Label);
        Assert.IsTrue(float.IsNaN(found.AddTo(keys).GetColumn<float>("LabelQuality").First()));
    }

    [TestMethod]
    public void One_fold_is_refused() => Assert.ThrowsExactly<ArgumentOutOfRangeException>(
        () => Context.MulticlassClassification.FindLabelIssues(Data, folds: 1));

    private static byte[] Png(int seed)
    {
        using var bitmap = new SkiaSharp.SKBitmap(12, 12);
        for (var i = 0; i < 144; i++)
            bitmap.SetPixel(i % 12, i / 12, new SkiaSharp.SKColor((byte)(i * (seed + 3)), (byte)(seed * 20), (byte)i));
        using var data = bitmap.Encode(SkiaSharp.SKEncodedImageFormat.Png, 100);
        return data.ToArray();
    }

    private sealed class Encoded
    {
        public string Label { get; set; } = "";

        public byte[] Image { get; set; } = [];
    }
}
