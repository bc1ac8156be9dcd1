using System.IO.Compression;
using Microsoft.ML;
using Microsoft.ML.Flooding;
using Mlflood.Data;

namespace Mlflood.Tests;

/// <summary>The argument DATA: a folder, a table, an archive, a data set.</summary>
[TestClass]
public sealed class DataArgumentTests : IDisposable
{
    private readonly string _folder = Directory.CreateTempSubdirectory().FullName;

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    [TestMethod]
    public void A_folder_has_its_classes_and_names_files_within_it()
    {
        Photos.Write(_folder, "train", 2);
        var rows = Load(_folder);
        Assert.HasCount(8, rows);
        CollectionAssert.AreEqual(Photos.Classes.ToList(), rows.Select(row => row.Label).Distinct().ToList());
        Assert.AreEqual(Path.Combine("dress", "000.png"), rows[0].Name);
        Assert.AreEqual(Path.Combine(_folder, "dress", "000.png"), rows[0].FilePath);
    }

    [TestMethod]
    [DataRow("header.csv", "Label,Path\ncat,a/1.png\n\"big, dog\",2.png\n")]
    [DataRow("header.tsv", "path\tlabel\na/1.png\tcat\n2.png\tbig, dog\n")]
    [DataRow("none.csv", "a/1.png,cat\n2.png,\"big, dog\"\n")]
    [DataRow("none.tsv", "a/1.png\tcat\n2.png\tbig, dog\n")]
    public void A_table_has_paths_relative_to_itself(string name, string content)
    {
        WriteTable(name, content);
        var rows = Load(Path.Combine(_folder, name));
        Assert.AreEqual("cat; big, dog", string.Join("; ", rows.Select(row => row.Label)));
        Assert.AreEqual(Path.Combine(_folder, "a", "1.png"), rows[0].FilePath);
        Assert.AreEqual("a/1.png", rows[0].Name);
    }

    [TestMethod]
    public void Other_columns_of_a_table_are_found_by_name()
    {
        WriteTable("all.csv", "file,weight,class,object\na/1.png,0.5,cat,x\n2.png,2,dog,y\n");
        using var source = new DataArgument(new MLContext(), "Class", new ImageColumns("weight", "object"));
        var rows = source.Load(Path.Combine(_folder, "all.csv"), DataSetPart.Train).Rows;
        Assert.AreEqual("cat 0.5 x; dog 2 y", string.Join("; ", rows.Select(
            row => FormattableString.Invariant($"{row.Label} {row.Weight} {row.Group}"))));
    }

    [TestMethod]
    [DataRow("missing.csv", "path,label\n3.png,cat\n", "'3.png'")]
    [DataRow("empty.csv", "", "is empty")]
    [DataRow("one.csv", "2.png\n", "no column 'Label'")]
    [DataRow("hole.csv", "path,label\n2.png,\n", "line 2")]
    [DataRow("other.txt", "path,label\n", "is not a .csv, .tsv or .zip file")]
    public void Errors_name_the_file_and_the_remedy(string name, string content, string message)
    {
        WriteTable(name, content);
        var e = Assert.ThrowsExactly<Failure>(() => Load(Path.Combine(_folder, name)));
        StringAssert.Contains(e.Message, name);
        StringAssert.Contains(e.Message, message);
    }

    [TestMethod]
    public void An_archive_holds_a_folder_or_a_table()
    {
        var photos = Path.Combine(_folder, "photos");
        Photos.Write(photos, "train", 1);
        var archive = Path.Combine(_folder, "photos.zip");
        ZipFile.CreateFromDirectory(photos, archive, CompressionLevel.Fastest, includeBaseDirectory: true);
        Assert.HasCount(4, Load(archive));

        File.WriteAllText(Path.Combine(photos, "labels.csv"), "dress/000.png,a\ntrouser/000.png,b\n");
        var table = Path.Combine(_folder, "table.zip");
        ZipFile.CreateFromDirectory(photos, table);
        Assert.AreEqual("a, b", string.Join(", ", Load(table).Select(row => row.Label)));
    }

    [TestMethod]
    public void A_data_set_that_is_not_there_is_an_error_with_the_command_that_gets_it()
    {
        if (Directory.Exists(ImageDataSets.Svhn.DefaultFolder))
            return;
        StringAssert.Contains(Assert.ThrowsExactly<Failure>(() => Load("svhn")).Message, "mlflood datasets get svhn");
        StringAssert.Contains(Assert.ThrowsExactly<Failure>(() => Load("nothing")).Message, "fashion-mnist");
    }

    [TestMethod]
    public void A_split_has_a_share_of_each_class_and_keeps_groups_together()
    {
        var rows = Enumerable.Range(0, 100).Select(i => new ImageRow { Label = i % 4 == 0 ? "a" : "b", Name = $"{i}", Group = $"{i / 2}" });
        var (others, heldOut) = new ImageData([.. rows], null, new ImageColumns()).Split(0.2, seed: 1);
        Assert.AreEqual("a 5, b 15", string.Join(", ", heldOut.Rows.CountBy(row => row.Label).Select(pair => $"{pair.Key} {pair.Value}")));
        Assert.HasCount(100, others.Rows.Concat(heldOut.Rows).Select(row => row.Name).Distinct().ToList());

        (others, heldOut) = new ImageData([.. rows], null, new ImageColumns(Group: "object")).Split(0.2, seed: 1);
        Assert.IsEmpty(others.Rows.Select(row => (row.Label, row.Group)).Intersect(heldOut.Rows.Select(row => (row.Label, row.Group))));
    }

    private static IReadOnlyList<ImageRow> Load(string text)
    {
        using var source = new DataArgument(new MLContext());
        return source.Load(text, DataSetPart.Train).Rows;
    }

    private void WriteTable(string name, string content)
    {
        Directory.CreateDirectory(Path.Combine(_folder, "a"));
        File.WriteAllText(Path.Combine(_folder, "a", "1.png"), "");
        File.WriteAllText(Path.Combine(_folder, "2.png"), "");
        File.WriteAllText(Path.Combine(_folder, name), content);
    }
}
