using Microsoft.ML.Flooding.Tests.Pipeline;
using Microsoft.ML.Flooding.Tests.Scoring;

namespace Microsoft.ML.Flooding.Tests.Transfer;

/// <summary>Training that starts from the weights of a file.</summary>
[TestClass]
public sealed class StartingWeightsTests
{
    private static readonly Architecture Network = Architecture.ConvNet.WithBaseWidth(8);

    private readonly MLContext _context = new(seed: 1);

    [TestMethod]
    public void Weights_of_a_model_are_what_another_run_starts_from()
    {
        using var file = new TemporaryFile(".safetensors");
        var data = FashionMnistData.Train(_context, 200);
        using var first = ShortRun.Fit(_context, data, o => o.Architecture = Network);
        first.SaveAsSafetensors(file.Path);
        // A learning rate of almost 0 leaves the weights unchanged.
        using var second = ShortRun.Fit(_context, data, o =>
        {
            (o.Architecture, o.PretrainedWeights, o.FreezeBatchNorm) = (Network, file.Path, true);
            (o.LearningRate, o.WeightAveraging, o.Epochs) = (1e-12, WeightAveraging.None, 1);
        });
        CollectionAssert.AreEqual(SavedModel.Weights(_context, first, data.Schema), SavedModel.Weights(_context, second, data.Schema));
        var report = second.PretrainedWeights!;
        Assert.IsEmpty(report.Missing);
        Assert.IsEmpty(report.Skipped);
        Assert.IsNotEmpty(report.Loaded);
        Assert.IsNull(first.PretrainedWeights);
    }

    [TestMethod]
    public void Head_of_other_classes_is_replaced_and_told_of()
    {
        using var file = new TemporaryFile(".safetensors");
        using (var ten = ShortRun.Fit(_context, FashionMnistData.Train(_context, 200), o => o.Architecture = Network))
            ten.SaveAsSafetensors(file.Path);
        var two = Classes(FashionMnistData.Rows("train", 200), "Bag", "Boot");
        using var model = ShortRun.Fit(_context, two, o => (o.Architecture, o.PretrainedWeights) = (Network, file.Path));
        CollectionAssert.AreEqual(new[] { "fc.weight", "fc.bias" }, model.PretrainedWeights!.Missing.ToArray());
        Assert.HasCount(2, model.PretrainedWeights.Skipped);
        Assert.HasCount(2, model.Labels);
        var loaded = (FloodedImageClassificationTransformer)SavedModel.Load(SavedModel.Save(_context, model, two.Schema));
        CollectionAssert.AreEqual(model.PretrainedWeights.Missing.ToArray(), loaded.PretrainedWeights!.Missing.ToArray());
        loaded.Dispose();
    }

    [TestMethod]
    public void Images_are_prepared_as_they_were_for_the_weights()
    {
        using var file = new TemporaryFile(".safetensors");
        var data = FashionMnistData.Train(_context, 200);
        using (var first = ShortRun.Fit(_context, data, o => o.Architecture = Network))
            first.SaveAsSafetensors(file.Path);
        using var model = ShortRun.Fit(
            _context, FashionMnistData.Train(_context, 300), o => (o.Architecture, o.PretrainedWeights) = (Network, file.Path));
        using var same = ShortRun.Fit(_context, data, o => o.Architecture = Network);
        CollectionAssert.AreEqual(same.Description.Normalization.Mean, model.Description.Normalization.Mean);
    }

    [TestMethod]
    public void A_file_of_ours_says_the_grid_of_its_positions()
    {
        using var file = new TemporaryFile(".safetensors");
        var labels = RandomModel.Describe(Architecture.ViTTiny, new(16, 64, 3)).Labels;
        using var model = RandomModel.Create(_context, Architecture.ViTTiny.WithStem(Stem.ImageNet), new(16, 64, 3));
        model.SaveAsSafetensors(file.Path);
        using var start = StartingPoint.FromOptions(
            ShortRun.Options(o => (o.Architecture, o.PretrainedWeights) = (Architecture.ViTTiny, file.Path)), labels, resizes: true);
        using var network = start.Architecture.CreateEmpty(new(16, 64, 3), labels.Count);
        start.Load!(network);
        using var copy = model.CopyNetwork();
        Assert.IsTrue(copy.get_parameter("pos_embed")!.Equals(network.get_parameter("pos_embed")!));
    }

    [TestMethod]
    public void Public_weights_bring_their_size_crop_mean_and_deviation()
    {
        using var file = new TemporaryFile(".safetensors");
        var architecture = Architecture.ResNet18.WithBaseWidth(4).WithStem(Stem.ImageNet);
        using (var network = Scoring.RandomModel.CreateNetwork(architecture, new(64, 64, 3), classes: 1000))
        using (var stream = File.Create(file.Path))
            Flooding.Networks.Safetensors.Write(stream, Flooding.Networks.NetworkState.State(network));
        using var files = new ImageFiles(20, marginOf: i => i % 3);
        var view = _context.Data.LoadFromEnumerable(files.Rows);
        var data = _context.Transforms.Conversion.MapValueToKey("Label", nameof(ImageFiles.Row.Class))
            .Append(_context.Transforms.LoadRawImageBytes("Features", files.Folder, nameof(ImageFiles.Row.ImagePath)))
            .Fit(view).Transform(view);
        using var model = ShortRun.Fit(
            _context, data, o => (o.Architecture, o.PretrainedWeights, o.Epochs) = (Architecture.ResNet18.WithBaseWidth(4), file.Path, 1));
        Assert.AreEqual((224, 224), (model.ImageWidth, model.ImageHeight));
        Assert.AreEqual("resnet18-width4-imagenet", model.Architecture.Name);
        Assert.AreEqual(224.0 / 256, model.Description.CenterCrop);
        Assert.AreEqual(0.485f * 255, model.Description.Normalization.Mean[0]);
        Assert.AreEqual(0.225f * 255, model.Description.Normalization.Deviation[2]);
    }

    [TestMethod]
    public void File_of_another_network_is_refused_with_its_names()
    {
        using var file = new TemporaryFile(".safetensors");
        using (var mlp = ShortRun.Fit(_context, FashionMnistData.Train(_context, 200)))
            mlp.SaveAsSafetensors(file.Path);
        var e = Assert.ThrowsExactly<InvalidDataException>(() =>
            ShortRun.Fit(
                _context, FashionMnistData.Train(_context, 200), o => (o.Architecture, o.PretrainedWeights) = (Network, file.Path)));
        StringAssert.Contains(e.Message, file.Path);
        StringAssert.Contains(e.Message, "layers.0");
    }

    [TestMethod]
    public void Missing_file_and_open_architecture_are_told()
    {
        var data = FashionMnistData.Train(_context, 20);
        var missing = Assert.ThrowsExactly<FileNotFoundException>(
            () => ShortRun.Fit(_context, data, o => o.PretrainedWeights = "nowhere.safetensors"));
        StringAssert.Contains(missing.Message, "nowhere.safetensors");
        var open = Assert.ThrowsExactly<ArgumentException>(() => ShortRun.Fit(
            _context, data, o => (o.Architecture, o.PretrainedWeights) = (Architecture.Auto, "nowhere.safetensors")));
        StringAssert.Contains(open.Message, nameof(TrainingOptions.Architecture));
    }

    [TestMethod]
    [DataRow("{}", "Shape")]
    [DataRow("null", "empty")]
    [DataRow("[]", "JSON")]
    [DataRow("""{"Shape":null,"CenterCrop":null,"Normalization":null}""", "Shape")]
    [DataRow("""{"Shape":{"Height":0,"Width":8,"Channels":1},"CenterCrop":null,"Normalization":{"Mean":[1],"Deviation":[1]}}""", "0 x 8")]
    [DataRow(
        """{"Shape":{"Height":60000,"Width":60000,"Channels":1},"CenterCrop":null,"Normalization":{"Mean":[1],"Deviation":[1]}}""",
        "60000")]
    [DataRow(
        """{"Shape":{"Height":8,"Width":8,"Channels":3},"CenterCrop":null,"Normalization":{"Mean":[1],"Deviation":[1]}}""",
        "3 channels")]
    [DataRow("""{"Shape":{"Height":8,"Width":8,"Channels":1},"CenterCrop":7,"Normalization":{"Mean":[1],"Deviation":[1]}}""", "crop 7")]
    [DataRow("""{"Shape":{"Height":8,"Width":8,"Channels":1},"CenterCrop":null,"Normalization":{"Mean":null,"Deviation":[1]}}""", "null")]
    [DataRow(
        """{"Shape":{"Height":8,"Width":8,"Channels":1},"CenterCrop":null,"Normalization":{"Mean":[1e99],"Deviation":[1]}}""",
        "finite")]
    public void Damaged_metadata_is_refused(string metadata, string word)
    {
        using var file = new TemporaryFile(".safetensors");
        using (var stream = File.Create(file.Path))
            Flooding.Networks.Safetensors.Write(stream, [], new Dictionary<string, string> { ["flooding"] = metadata });
        var e = Assert.ThrowsExactly<InvalidDataException>(
            () => Flooding.Persistence.WeightsOrigin.PreparationOf(file.Path, Architecture.ResNet18));
        StringAssert.Contains(e.Message, file.Path);
        StringAssert.Contains(e.Message, word, StringComparison.OrdinalIgnoreCase);
    }

    [TestMethod]
    public void A_folder_is_told_from_a_file()
    {
        var folder = Path.GetTempPath();
        var data = FashionMnistData.Train(_context, 20);
        var e = Assert.ThrowsExactly<FileNotFoundException>(
            () => ShortRun.Fit(_context, data, o => (o.Architecture, o.PretrainedWeights) = (Network, folder)));
        StringAssert.Contains(e.Message, "is a folder");
    }

    private IDataView Classes(IEnumerable<FashionMnistData.Row> rows, params string[] classes)
    {
        var view = _context.Data.LoadFromEnumerable(rows.Where(r => classes.Contains(r.Class)).ToArray());
        return _context.Transforms.Conversion.MapValueToKey("Label", nameof(FashionMnistData.Row.Class)).Fit(view).Transform(view);
    }
}
