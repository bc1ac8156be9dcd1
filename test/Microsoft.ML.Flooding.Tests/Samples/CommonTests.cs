using System.CommandLine;
using Common;
using Microsoft.ML.Data;

namespace Microsoft.ML.Flooding.Tests.Samples;

/// <summary>The project Common, which reads the images and options of the samples.</summary>
[TestClass]
public sealed class CommonTests
{
    private readonly MLContext _context = new();

    [TestMethod]
    public void Images_of_a_folder_are_ordered_by_path_and_have_the_class_of_their_subfolder()
    {
        var folder = Directory.CreateTempSubdirectory("flooding-samples-");
        try
        {
            string[] files = ["wasp/2.PNG", "ant/b.jpeg", "ant/a.jpg", "ant/notes.txt", "ant/deeper/c.jpg", "stray.jpg"];
            foreach (var file in files.Select(name => new FileInfo(Path.Combine(folder.FullName, name))))
            {
                file.Directory!.Create();
                File.WriteAllBytes(file.FullName, []);
            }

            var found = ImageFile.FindAll(folder);

            string[] expected = ["ant/a.jpg", "ant/b.jpeg", "wasp/2.PNG"];
            CollectionAssert.AreEqual(
                expected.Select(name => Path.GetFullPath(name, folder.FullName)).ToArray(), found.Select(f => f.ImagePath).ToArray());
            CollectionAssert.AreEqual(new[] { "ant", "ant", "wasp" }, found.Select(f => f.Label).ToArray());
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [TestMethod]
    public void A_folder_without_images_in_subfolders_gets_an_error_that_names_it_and_the_remedy()
    {
        var folder = Directory.CreateTempSubdirectory("flooding-samples-");
        try
        {
            File.WriteAllBytes(Path.Combine(folder.FullName, "stray.jpg"), []);
            var error = Assert.ThrowsExactly<InvalidDataException>(() => ImageFile.FindAll(folder));
            StringAssert.Contains(error.Message, folder.FullName, StringComparison.Ordinal);
            StringAssert.Contains(
                error.Message, "Put the .jpg, .jpeg and .png files of each class into a subfolder", StringComparison.Ordinal);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }

    [TestMethod]
    public void Changed_training_labels_can_be_loaded_and_leave_the_test_labels_alone()
    {
        using var file = new TemporaryFile(".idx");
        var folder = IdxFolder.FashionMnist with { Folder = Fixtures.FashionMnist };
        var before = Labels(folder.LoadTrainingSet(_context));
        var test = Labels(folder.LoadTestSet(_context));

        folder.WriteTrainingLabels(file.Path, labels => labels[0] = (byte)((labels[0] + 1) % 10));

        var after = Labels(folder.LoadTrainingSet(_context, file.Path));
        Assert.AreEqual((before[0] % 10) + 1, after[0]);
        CollectionAssert.AreEqual(before[1..], after[1..]);
        CollectionAssert.AreEqual(test, Labels(folder.LoadTestSet(_context)));
    }

    [TestMethod]
    [DataRow("1", null)]
    [DataRow("0", "--epochs is 0. Give a whole number of at least 1.")]
    [DataRow("-3", "--epochs is -3. Give a whole number of at least 1.")]
    [DataRow("many", "Cannot parse argument 'many' for option '--epochs' as expected type 'System.Int32'.")]
    public void Options_below_their_minimum_get_an_error_and_so_does_text(string value, string? expected)
    {
        var epochs = new Option<int>("--epochs");
        epochs.AcceptAtLeast(1);
        var errors = new RootCommand { epochs }.Parse(["--epochs", value]).Errors;
        Assert.AreEqual(expected, errors.SingleOrDefault()?.Message);
    }

    private static uint[] Labels(IDataView view) => [.. view.GetColumn<uint>("Label")];
}
