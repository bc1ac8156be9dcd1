using Microsoft.ML.Data;
using static Microsoft.ML.Flooding.Tests.Images.TestImages;

namespace Microsoft.ML.Flooding.Tests.Images;

[TestClass]
public sealed class ImageFolderCatalogTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory("flooding-folder-").FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [TestMethod]
    public void Files_are_ordered_by_class_and_path_and_have_the_class_of_their_subfolder()
    {
        Write("wasp/2.PNG", "ant/b.jpeg", "ant/a.jpg", "ant/notes.txt", "ant/deeper/c.jpg", "ant/deeper/still/d.WebP",
            "ant/B.jpg", "Bee/1.heic");

        var found = Context.Data.CreateEnumerable<Row>(Context.Data.LoadFromImageFolder(_folder), reuseRowObject: false).ToArray();

        string[] expected =
        [
            "Bee/1.heic", "ant/B.jpg", "ant/a.jpg", "ant/b.jpeg", "ant/deeper/c.jpg", "ant/deeper/still/d.WebP", "wasp/2.PNG",
        ];
        CollectionAssert.AreEqual(
            expected.Select(name => Path.GetFullPath(name, _folder)).ToArray(), found.Select(f => f.ImagePath).ToArray());
        CollectionAssert.AreEqual(expected.Select(name => name.Split('/')[0]).ToArray(), found.Select(f => f.Label).ToArray());
        CollectionAssert.AreEqual(expected.Select(name => name).ToArray(), found.Select(f => Text(f.Features)).ToArray());
    }

    [TestMethod]
    public void Hidden_files_and_folders_are_left_out()
    {
        Write("ant/1.jpg", "ant/._1.jpg", "ant/.thumbs/1.jpg", "bee/1.jpg", ".git/1.jpg", ".trash.jpg");

        CollectionAssert.AreEqual(new[] { "ant", "bee" }, Labels(_folder));
    }

    [TestMethod]
    public void A_link_to_a_folder_above_it_is_not_followed_and_links_to_files_and_classes_are()
    {
        Write("photos/ant/1.jpg", "elsewhere/1.jpg", "elsewhere/2.jpg");
        var photos = Path.Combine(_folder, "photos");
        Directory.CreateSymbolicLink(Path.Combine(photos, "ant", "again"), photos);
        File.CreateSymbolicLink(Path.Combine(photos, "ant", "2.jpg"), Path.Combine(_folder, "elsewhere", "1.jpg"));
        Directory.CreateSymbolicLink(Path.Combine(photos, "bee"), Path.Combine(_folder, "elsewhere"));

        CollectionAssert.AreEqual(new[] { "ant", "ant", "bee", "bee" }, Labels(photos));
    }

    [TestMethod]
    public void A_relative_path_with_a_separator_at_the_end_gives_full_paths()
    {
        Write("ant/1.jpg", "bee/1.jpg");
        var relative = Path.GetRelativePath(Environment.CurrentDirectory, _folder) + Path.DirectorySeparatorChar;

        var paths = Context.Data.LoadFromImageFolder(relative).GetColumn<string>("ImagePath").ToArray();

        CollectionAssert.AreEqual(new[] { Path.Combine(_folder, "ant", "1.jpg"), Path.Combine(_folder, "bee", "1.jpg") }, paths);
    }

    [TestMethod]
    public void Content_is_read_only_when_it_is_asked_for_and_the_view_is_counted_and_can_be_split()
    {
        Write([.. Enumerable.Range(0, 20).Select(i => $"{(i % 2 == 0 ? "ant" : "bee")}/{i:00}.jpg")]);
        var data = Context.Data.LoadFromImageFolder(_folder);
        File.WriteAllText(Path.Combine(_folder, "ant", "00.jpg"), "new");

        Assert.AreEqual(20L, data.GetRowCount());
        Assert.AreEqual("new", Text(data.GetColumn<byte[]>("Features").First()));
        var split = Context.Data.TrainTestSplit(data, 0.3, seed: 1);
        CollectionAssert.AreEquivalent(
            data.GetColumn<string>("ImagePath").ToArray(),
            split.TrainSet.GetColumn<string>("ImagePath").Concat(split.TestSet.GetColumn<string>("ImagePath")).ToArray());
    }

    [TestMethod]
    public void The_trainer_fits_with_its_default_columns_and_the_model_predicts_the_classes()
    {
        foreach (var (name, red) in new[] { ("dark", (byte)0), ("light", (byte)255) })
            for (var i = 0; i < 8; i++)
                File.WriteAllBytes(Write($"{name}/{i}.png"), Png([.. Enumerable.Repeat(red, 8 * 8 * 3)], 8, 8));
        var context = new MLContext(seed: 1);
        var photos = context.Data.LoadFromImageFolder(_folder);

        using var model = context.Transforms.Conversion.MapValueToKey("Label")
            .Append(context.Transforms.FloodedImageClassification(new FloodedImageClassificationTrainer.Options
            {
                Architecture = Architecture.Mlp,
                Epochs = 20,
            }))
            .Append(context.Transforms.Conversion.MapKeyToValue("Class", "PredictedLabel"))
            .Fit(photos);

        var scored = model.Transform(photos);
        CollectionAssert.AreEqual(Labels(_folder), scored.GetColumn<string>("Class").ToArray());
        Assert.AreEqual(1, context.MulticlassClassification.Evaluate(scored).MicroAccuracy);
    }

    [TestMethod]
    public void Subfolders_without_images_are_named_in_a_warning()
    {
        Write("ant/1.jpg", "bee/1.jpg", "models/model.zip", "notes/todo.txt");
        var context = new MLContext();
        var log = new List<string>();
        context.Log += (_, e) => log.Add(e.Message);

        Assert.AreEqual(2L, context.Data.LoadFromImageFolder(_folder).GetRowCount());

        Assert.HasCount(1, log.Where(line => line.Contains(
            $"These subfolders of '{_folder}' have no images and are no classes: models, notes.", StringComparison.Ordinal)));
    }

    [TestMethod]
    [DataRow("has no images in subfolders. Put the images of each class into a subfolder")]
    [DataRow("has no images in subfolders", "ant/notes.txt")]
    [DataRow("has an image that is in no subfolder, such as 'a.jpg'", "a.jpg")]
    [DataRow("has 2 images in no subfolder, such as 'a.jpg'", "b.jpg", "a.jpg", "ant/1.jpg", "bee/1.jpg")]
    [DataRow("has only one class, 'ant'. A classifier needs at least two", "ant/1.jpg", "notes/1.txt")]
    [DataRow("If 'ant', 'bee' are the classes, load '{0}insects'", "insects/ant/1.jpg", "insects/bee/1.jpg")]
    [DataRow("are 'Test' and 'train': these are the parts of a split, not classes. Load each part by itself, such as '{0}train'",
        "train/ant/1.jpg", "train/bee/1.jpg", "Test/ant/1.jpg")]
    public void A_folder_without_classes_gets_an_error_that_names_it_and_the_remedy(string problem, params string[] files)
    {
        Write(files);

        var error = Assert.ThrowsExactly<InvalidDataException>(() => Context.Data.LoadFromImageFolder(_folder));

        StringAssert.Contains(error.Message, _folder);
        StringAssert.Contains(error.Message, problem.Replace("{0}", _folder + Path.DirectorySeparatorChar, StringComparison.Ordinal));
    }

    [TestMethod]
    public void A_missing_folder_and_a_file_get_an_error_that_names_them()
    {
        var missing = Path.Combine(_folder, "missing");
        var error = Assert.ThrowsExactly<DirectoryNotFoundException>(() => Context.Data.LoadFromImageFolder(missing));
        StringAssert.Contains(error.Message, $"The folder '{missing}' does not exist.");

        Write("photos.zip");
        var archive = Path.Combine(_folder, "photos.zip");
        error = Assert.ThrowsExactly<DirectoryNotFoundException>(() => Context.Data.LoadFromImageFolder(archive));
        StringAssert.Contains(error.Message, $"'{archive}' is a file, not a folder. If it is an archive, unpack it");
    }

    /// <summary>Writes files whose content is their name; returns the path of the last one.</summary>
    private string Write(params string[] names)
    {
        var path = _folder;
        foreach (var name in names)
        {
            path = Path.Combine(_folder, Path.Combine(name.Split('/')));
            Directory.CreateDirectory(Path.GetDirectoryName(path)!);
            File.WriteAllText(path, name);
        }
        return path;
    }

    private static string Text(byte[] content) => System.Text.Encoding.UTF8.GetString(content);

    private static string[] Labels(string folder) => [.. Context.Data.LoadFromImageFolder(folder).GetColumn<string>("Label")];

    private sealed class Row
    {
        public string Label { get; set; } = "";

        public string ImagePath { get; set; } = "";

        public byte[] Features { get; set; } = [];
    }
}
