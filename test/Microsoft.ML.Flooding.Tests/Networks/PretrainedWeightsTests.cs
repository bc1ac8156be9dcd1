using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Networks;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Tests.Networks;

[TestClass]
public sealed class PretrainedWeightsTests : IDisposable
{
    private readonly string _path = Path.GetTempFileName();

    public void Dispose() => File.Delete(_path);

    [TestMethod]
    [DataRow("", ScalarType.Float32)]
    [DataRow("module.", ScalarType.Float16)]
    [DataRow("state_dict.model.", ScalarType.BFloat16)]
    [DataRow("backbone.", ScalarType.Float32)]
    [DataRow("_orig_mod.", ScalarType.Float32)]
    [DataRow("net.encoder_q.wrapped.", ScalarType.Float32)]
    public void Head_of_other_classes_stays_and_all_else_is_loaded(string prefix, ScalarType type)
    {
        using var scope = NewDisposeScope();
        using var source = Create("resnet18-width4-imagenet", new(64, 64, 3), classes: 7, seed: 5);
        using var target = Create("resnet18-width4-imagenet", new(64, 64, 3), classes: 3, seed: 6);
        var head = target.Head.weight.clone();
        Save(source.State().Select(
            entry => (prefix + entry.Name, entry.Tensor.is_floating_point() ? entry.Tensor.to(type) : entry.Tensor)));

        var report = PretrainedWeights.Load(target, _path);

        CollectionAssert.AreEqual(new[] { "fc.weight", "fc.bias" }, report.Missing.ToList());
        Assert.HasCount(2, report.Skipped);
        StringAssert.Contains(report.Skipped[0], "[7, 32]");
        Assert.IsTrue(target.Head.weight.Equals(head));
        Assert.AreEqual(ScalarType.Float32, target.Head.weight.dtype);
        foreach (var ((name, a), (_, b)) in source.State().Zip(target.State()))
        {
            if (!name.StartsWith("fc.", StringComparison.Ordinal))
                Assert.IsTrue(a.to(type).to(a.dtype).Equals(b), name);
        }
    }

    [TestMethod]
    public void Grey_image_gives_what_it_gave_in_colour()
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var colour = Create("resnet18-width4-small", new(32, 32, 3), seed: 5);
        using var grey = Create("resnet18-width4-small", new(32, 32, 1), seed: 6);
        Save(colour.State());
        PretrainedWeights.Load(grey, _path);
        colour.eval();
        grey.eval();
        var x = rand(2, 1, 32, 32);
        Assert.IsTrue(grey.forward(x).allclose(colour.forward(x.expand(-1, 3, -1, -1)), 1e-3, 1e-4));

        Save(grey.State());
        using var back = Create("resnet18-width4-small", new(32, 32, 3), seed: 7);
        PretrainedWeights.Load(back, _path);
        back.eval();
        Assert.IsTrue(grey.forward(x).allclose(back.forward(x.expand(-1, 3, -1, -1)), 1e-3, 1e-4));
    }

    [TestMethod]
    public void Positions_of_a_vision_transformer_are_interpolated()
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var source = Create("vit_tiny-imagenet", new(64, 64, 3), seed: 5);
        using var same = Create("vit_tiny-imagenet", new(64, 64, 3), seed: 6);
        using var larger = Create("vit_tiny-imagenet", new(96, 80, 3), seed: 6);
        Save(source.State());
        Assert.IsEmpty(PretrainedWeights.Load(same, _path).Missing);
        Assert.IsEmpty(PretrainedWeights.Load(larger, _path).Missing);
        var (from, to) = (source.get_parameter("pos_embed")!, larger.get_parameter("pos_embed")!);
        CollectionAssert.AreEqual(new long[] { 1, 1 + (6 * 5), 192 }, to.shape);
        Assert.IsTrue(from[0, 0].Equals(to[0, 0]));
        Assert.AreEqual(from.std().item<float>(), to.std().item<float>(), 0.01f);
    }

    [TestMethod]
    public void Positions_of_a_square_grid_are_interpolated_to_another_of_as_many_patches()
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var square = Create("vit_tiny-imagenet", new(32, 32, 3), seed: 5);
        using var row = Create("vit_tiny-imagenet", new(16, 64, 3), seed: 6);
        Save(square.State());
        Assert.IsEmpty(PretrainedWeights.Load(row, _path).Missing);
        AssertInterpolated(square, 2, 2, row, 1, 4);
    }

    [TestMethod]
    public void The_grid_is_that_of_the_images_that_the_weights_were_trained_on()
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var row = Create("vit_tiny-imagenet", new(16, 64, 3), seed: 5);
        using var square = Create("vit_tiny-imagenet", new(32, 32, 3), seed: 6);
        using var same = Create("vit_tiny-imagenet", new(16, 64, 3), seed: 7);
        Save(row.State());
        Assert.IsEmpty(PretrainedWeights.Load(square, _path, trainedOn: new(16, 64, 3)).Missing);
        AssertInterpolated(row, 1, 4, square, 2, 2);
        Assert.IsEmpty(PretrainedWeights.Load(same, _path, trainedOn: new(16, 64, 3)).Missing);
        Assert.IsTrue(row.get_parameter("pos_embed")!.Equals(same.get_parameter("pos_embed")!));
        Assert.IsEmpty(PretrainedWeights.Load(same, _path, trainedOn: new(224, 224, 3)).Missing);
        AssertInterpolated(row, 2, 2, same, 1, 4);
    }

    [TestMethod]
    public void A_grid_that_is_no_square_and_not_known_is_the_networks_or_none()
    {
        using var scope = NewDisposeScope();
        using var source = Create("vit_tiny-imagenet", new(32, 48, 3), seed: 5);
        using var same = Create("vit_tiny-imagenet", new(32, 48, 3), seed: 6);
        using var other = Create("vit_tiny-imagenet", new(32, 32, 3), seed: 6);
        Save(source.State());
        Assert.IsEmpty(PretrainedWeights.Load(same, _path).Missing);
        Assert.IsTrue(source.get_parameter("pos_embed")!.Equals(same.get_parameter("pos_embed")!));
        CollectionAssert.AreEqual(new[] { "pos_embed" }, PretrainedWeights.Load(other, _path).Missing.ToArray());
    }

    [TestMethod]
    [DataRow("mobilenet_v2-0.25", "blocks.1.0.conv_pw.weight", "features.2.conv.0.0.weight")]
    [DataRow("mobilenet_v2-0.25", "blocks.0.0.conv_pw.weight", "features.1.conv.1.weight")]
    [DataRow("mobilenet_v2-0.25", "blocks.6.0.bn3.bias", "features.17.conv.3.bias")]
    [DataRow("mobilenet_v2-0.25", "conv_head.weight", "features.18.0.weight")]
    [DataRow("mobilenet_v2-0.25", "classifier.bias", "classifier.1.bias")]
    [DataRow("mobilenet_v3_large-0.25", "blocks.2.1.se.conv_reduce.weight", "features.5.block.2.fc1.weight")]
    [DataRow("mobilenet_v3_large-0.25", "blocks.6.0.conv.weight", "features.16.0.weight")]
    [DataRow("mobilenet_v3_large-0.25", "blocks.6.0.bn1.weight", "features.16.1.weight")]
    [DataRow("mobilenet_v3_large-0.25", "conv_head.weight", "classifier.0.weight")]
    [DataRow("mobilenet_v3_large-0.25", "classifier.weight", "classifier.3.weight")]
    [DataRow("mobilenet_v3_small-0.25", "blocks.0.0.se.conv_expand.bias", "features.1.block.1.fc2.bias")]
    [DataRow("mobilenet_v3_small-0.25", "blocks.3.1.conv_pwl.weight", "features.8.block.3.0.weight")]
    [DataRow("efficientnet_b0-0.25", "conv_stem.weight", "features.0.0.weight")]
    [DataRow("efficientnet_b0-0.25", "blocks.0.0.bn2.running_mean", "features.1.0.block.2.1.running_mean")]
    [DataRow("efficientnet_b0-0.25", "blocks.5.3.conv_dw.weight", "features.6.3.block.1.0.weight")]
    [DataRow("efficientnet_b0-0.25", "bn2.weight", "features.8.1.weight")]
    [DataRow("convnext_tiny", "stem.1.bias", "features.0.1.bias")]
    [DataRow("convnext_tiny", "stages.0.blocks.2.gamma", "features.1.2.layer_scale")]
    [DataRow("convnext_tiny", "stages.3.blocks.0.mlp.fc2.weight", "features.7.0.block.5.weight")]
    [DataRow("convnext_tiny", "stages.2.downsample.1.weight", "features.4.1.weight")]
    [DataRow("convnext_tiny", "head.fc.weight", "classifier.2.weight")]
    [DataRow("resnet18-width4", "layer1.0.conv1.weight", "layer1.0.conv1.weight")]
    public void Names_of_timm_are_found(string architecture, string timm, string torchvision)
    {
        using var network = Create(architecture, new(64, 64, 3));
        var own = network.State().Select(entry => entry.Name).ToHashSet();
        Assert.Contains(torchvision, own);
        Assert.AreEqual(torchvision, TimmNames.ToTorchvision(timm, own));
    }

    private static void AssertInterpolated(Network source, int height, int width, Network target, int targetHeight, int targetWidth)
    {
        var (from, to) = (source.get_parameter("pos_embed")!, target.get_parameter("pos_embed")!);
        var grid = from[.., 1..].reshape(1, height, width, -1).permute(0, 3, 1, 2);
        var expected = nn.functional.interpolate(grid, [targetHeight, targetWidth], mode: InterpolationMode.Bicubic, align_corners: false);
        Assert.IsTrue(to[.., 1..].allclose(expected.permute(0, 2, 3, 1).flatten(1, 2)));
        Assert.IsFalse(to[.., 1..].allclose(from[.., 1..]));
        Assert.IsTrue(from[0, 0].Equals(to[0, 0]));
    }

    [TestMethod]
    public void Weights_of_another_network_are_refused()
    {
        using var scope = NewDisposeScope();
        using var source = Create("mobilenet_v2-0.25", new(32, 32, 3));
        using var target = Create("resnet18-width4", new(32, 32, 3));
        Save(source.State());
        var e = Assert.ThrowsExactly<InvalidDataException>(() => PretrainedWeights.Load(target, _path));
        StringAssert.Contains(e.Message, "features.0.0.weight");
        StringAssert.Contains(e.Message, _path);
        Assert.ThrowsExactly<FileNotFoundException>(() => PretrainedWeights.Load(target, _path + ".absent"));
    }

    [TestMethod]
    public void Stem_follows_the_weights_unless_it_is_given()
    {
        using var scope = NewDisposeScope();
        using var source = Create("resnet18-width4-imagenet", new(32, 32, 3));
        Save(source.State());
        Assert.AreEqual("resnet18-imagenet", PretrainedWeights.WithStemOf(Architecture.ResNet18, _path).Name);
        Assert.AreEqual("resnet18-small", PretrainedWeights.WithStemOf(Architecture.ResNet18.WithStem(Stem.Small), _path).Name);
        Assert.AreEqual("convnet", PretrainedWeights.WithStemOf(Architecture.ConvNet, _path).Name);
        // The names of blocks end like that of the stem.
        Save(source.State().Reverse().Select(entry => ("module.backbone." + entry.Name, entry.Tensor)));
        Assert.AreEqual("resnet18-imagenet", PretrainedWeights.WithStemOf(Architecture.ResNet18, _path).Name);
    }

    [TestMethod]
    public void Of_a_checkpoint_with_more_than_the_weights_only_these_are_taken()
    {
        using var scope = NewDisposeScope();
        using var source = Create("mobilenet_v2-0.25", new(32, 32, 3), seed: 5);
        using var average = Create("mobilenet_v2-0.25", new(32, 32, 3), seed: 6);
        using var target = Create("mobilenet_v2-0.25", new(32, 32, 3), seed: 7);
        Save([
            ("epoch", tensor(3L)),
            .. source.State().Select(entry => ("state_dict.module." + entry.Name, entry.Tensor)),
            .. source.State().Select(entry => ("optimizer.momentum." + entry.Name, entry.Tensor + 1))
                .Where(entry => !entry.Item1.EndsWith("classifier.1.bias", StringComparison.Ordinal)),
            .. average.State().Select(entry => ("state_dict_ema." + entry.Name, entry.Tensor))]);
        var report = PretrainedWeights.Load(target, _path);
        Assert.IsEmpty(report.Missing);
        foreach (var ((name, a), (_, b)) in source.State().Zip(target.State()))
            Assert.IsTrue(a.Equals(b), name);
    }

    /// <summary>Files that users pass by mistake, each with a part of the error.</summary>
    public static IEnumerable<object[]> Mistakes =>
    [
        ["", "empty"],
        ["version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 46830571\n", "git lfs pull"],
        ["\n<!DOCTYPE html>\n<html>", "web page"],
        ["<HTML><head>", "web page"],
        ["\u0080\u0002\u008A\u000A\u006C\u00FC\u009C\u0046\u00F9\u0020\u006A\u00A8\u0050\u0019.", "before 1.6"],
        ["\u0080\u0004\u0095xx", "state_dict"],
        [Tar("sys_info"), "before 1.6"],
        [Tar("photos/1.jpg"), "tar archive"],
        ["\u001F\u008B\u0008\0\0", "gzip"],
        ["\u0089HDF\r\n", "HDF5"],
        ["\u0093NUMPY", "NumPy"],
        ["\u0008\u0007\u0012\u0007pytorch", "ONNX model. Use Architecture.FromOnnx"],
        ["{\"model_type\": \"resnet\"}", "JSON"],
        ["not weights at all", "safetensors"],
        ["\u00FF\u00FF\u00FF\u00FF\u00FF\u00FF\u00FF\u00FF{", "safetensors"],
        ["\u00FF\0\0\0\0\0\0\0{\"a\":", "cut off"],
        ["PK\u0003\u0004 and then nothing", "cut off"],
    ];

    [TestMethod]
    [DynamicData(nameof(Mistakes))]
    public void What_is_no_weights_file_is_told_what_it_is(string content, string word)
    {
        File.WriteAllBytes(_path, TorchFile.Latin1(content));
        AssertRefused(word);
    }

    [TestMethod]
    public void Archives_of_other_kinds_are_told_what_they_are()
    {
        File.WriteAllBytes(_path, TorchScriptArchive.Linear(4, 2));
        AssertRefused(nameof(Architecture.FromTorchScript));
        File.WriteAllBytes(_path, TorchFile.Archive([("images/1.jpg", [1, 2]), ("images/2.jpg", [3])]));
        AssertRefused("Unpack");
        var context = new MLContext();
        var schema = context.Data.LoadFromEnumerable(new[] { new { Value = 1f } });
        context.Model.Save(context.Transforms.CopyColumns("Copy", "Value").Fit(schema), schema.Schema, _path);
        AssertRefused("Fit(data, model)");
    }

    private void AssertRefused(string word)
    {
        using var target = Create("resnet18-width4", new(32, 32, 3));
        foreach (var read in new Action[]
        {
            () => PretrainedWeights.Load(target, _path), () => PretrainedWeights.WithStemOf(Architecture.ResNet18, _path),
            () => Flooding.Persistence.WeightsOrigin.PreparationOf(_path, Architecture.ResNet18),
        })
        {
            var e = Assert.ThrowsExactly<InvalidDataException>(read);
            StringAssert.Contains(e.Message, word);
            StringAssert.Contains(e.Message, _path);
        }
    }

    private static string Tar(string first) => first.PadRight(257, '\0') + "ustar\0" + new string('\0', 249);

    private void Save(IEnumerable<(string, Tensor)> tensors)
    {
        using var stream = File.Create(_path);
        Safetensors.Write(stream, tensors);
    }

    private static Network Create(string architecture, ImageShape shape, int classes = 10, ulong seed = 1) =>
        ArchitectureTests.Create(Architecture.Parse(architecture), shape, seed, classes);
}
