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
