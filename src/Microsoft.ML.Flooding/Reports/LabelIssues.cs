using Microsoft.ML.Data;
using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Objectives;
using Microsoft.ML.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding;

/// <summary>
/// The images of a data set whose labels are probably wrong. See <c>mlContext.MulticlassClassification.FindLabelIssues</c>.
/// </summary>
public sealed class LabelIssues
{
    private const int MostPictures = 300;

    private readonly IHostEnvironment _environment;
    private readonly long _rows;
    private readonly IReadOnlyDictionary<long, byte[]> _pictures;

    private LabelIssues(
        IHostEnvironment environment, long rows, IReadOnlyList<LabelIssue> ranking, IReadOnlyList<DuplicateImages> duplicates,
        IReadOnlyList<ClassOverlap> overlaps, IReadOnlyDictionary<long, byte[]> pictures)
    {
        _environment = environment;
        _rows = rows;
        _pictures = pictures;
        Ranking = ranking;
        Issues = [.. ranking.Where(image => image.IsSuspected)];
        Duplicates = duplicates;
        Overlaps = overlaps;
    }

    /// <summary>
    /// The images that confident learning suspects (Northcutt, Jiang and Chuang, JAIR 2021), those with the lowest
    /// <see cref="LabelIssue.SelfConfidence"/> first.
    /// </summary>
    public IReadOnlyList<LabelIssue> Issues { get; }

    /// <summary>All images, those with the lowest <see cref="LabelIssue.SelfConfidence"/> first.</summary>
    public IReadOnlyList<LabelIssue> Ranking { get; }

    /// <summary>Groups of images that look the same but have different labels.</summary>
    public IReadOnlyList<DuplicateImages> Duplicates { get; }

    /// <summary>Pairs of classes with the estimated number of wrong labels between them, the largest first.</summary>
    public IReadOnlyList<ClassOverlap> Overlaps { get; }

    /// <summary>The estimated number of wrong labels: the sum of <see cref="Overlaps"/>.</summary>
    public double EstimatedCount => Overlaps.Sum(overlap => overlap.Count);

    /// <summary>
    /// Adds three columns to the data: IsLabelIssue (Boolean), LabelQuality (Single, the self-confidence, NaN for an image that was left
    /// out) and SuggestedLabel (text).
    /// </summary>
    /// <param name="data">The data that was searched, with the same rows in the same order.</param>
    /// <exception cref="ArgumentException">The data has another number of rows.</exception>
    public IDataView AddTo(IDataView data)
    {
        ArgumentNullException.ThrowIfNull(data);
        if (data.GetRowCount() is { } count && count != _rows)
            throw new ArgumentException($"The data has {count} rows, but {_rows} rows were searched. Give the same data.", nameof(data));
        var columns = new Columns[_rows];
        for (var row = 0; row < columns.Length; row++)
            columns[row] = new Columns();
        foreach (var image in Ranking)
            columns[image.Row] = new Columns
            {
                IsLabelIssue = image.IsSuspected,
                LabelQuality = (float)image.SelfConfidence,
                SuggestedLabel = image.SuggestedLabel,
            };
        return ZipDataView.Create(_environment, [data, new MLContext().Data.LoadFromEnumerable(columns)]);
    }

    /// <summary>Returns the data without the suspected images.</summary>
    /// <inheritdoc cref="AddTo"/>
    public IDataView RemoveFrom(IDataView data) =>
        new MLContext().Data.FilterByCustomPredicate<Suspicion>(AddTo(data), row => row.IsLabelIssue);

    /// <summary>The number of images and issues.</summary>
    public override string ToString() => FormattableString.Invariant(
        $"{Issues.Count} of {Ranking.Count} labels are suspected; {Duplicates.Count} groups of duplicates have different labels.");

    /// <summary>The PNG picture of a row; null if there is none.</summary>
    internal byte[]? PictureOf(long row) => _pictures.GetValueOrDefault(row);

    /// <summary>Ranks the images of a set.</summary>
    /// <param name="environment">Creates the views of <see cref="AddTo"/>.</param>
    /// <param name="data">The data of the set.</param>
    /// <param name="set">The images.</param>
    /// <param name="rows">The rows of the set with predictions, int64 [N].</param>
    /// <param name="probabilities">float32 [rows of the set, K] on the CPU: held-out predictions.</param>
    /// <param name="names">The names of the classes.</param>
    /// <param name="skipped">The rows of the data that the set leaves out.</param>
    /// <param name="checkAlive">Called regularly; throws to cancel.</param>
    internal static LabelIssues Of(
        IHostEnvironment environment, IDataView data, ImageSet set, Tensor rows, Tensor probabilities, IReadOnlyList<string> names,
        IReadOnlyCollection<long> skipped, Action checkAlive)
    {
        using var scope = NewDisposeScope();
        var rowsOfData = RowsOfData(set.Count, skipped);
        var labels = set.Labels.index_select(0, rows);
        var predicted = probabilities.index_select(0, rows);
        var learned = ConfidentLearning.Of(predicted, labels);
        LabelIssue[] ranking =
        [
            .. Rate(predicted, labels, names)
                .Zip(rows.data<long>().ToArray(), (image, row) => image with { Row = rowsOfData[row] })
                .Select((image, i) => image with { IsSuspected = learned.Suspected[i] })
                .OrderBy(image => image.SelfConfidence).ThenBy(image => image.Row),
        ];
        var places = rowsOfData.Index().ToDictionary(row => row.Item, row => (long)row.Index);
        var duplicates = FindDuplicates(set, rowsOfData, names, checkAlive);
        long[] shown =
        [
            .. ranking.Where(image => image.IsSuspected).Select(image => image.Row)
                .Concat(duplicates.SelectMany(group => group.Rows)).Distinct().Take(MostPictures),
        ];
        var pictures = Thumbnail.Create(set, shown.Select(row => places[row])).ToDictionary(p => rowsOfData[p.Key], p => p.Value);
        Describe(ranking, data);
        return new LabelIssues(
            environment, set.Count + skipped.Count, ranking, duplicates, FindOverlaps(learned.Joint, names), pictures);
    }

    private static IEnumerable<LabelIssue> Rate(Tensor probabilities, Tensor labels, IReadOnlyList<string> names)
    {
        var given = labels.data<long>().ToArray();
        var ofLabel = probabilities.gather(1, labels.unsqueeze(1)).squeeze(1).data<float>().ToArray();
        var best = probabilities.max(1);
        var (values, classes) = (best.values.data<float>().ToArray(), best.indexes.data<long>().ToArray());
        // The margin compares the label with the most probable of the other classes.
        var others = probabilities.scatter(1, labels.unsqueeze(1), zeros([labels.shape[0], 1]));
        var ofOther = others.amax([1]).data<float>().ToArray();
        for (var i = 0; i < given.Length; i++)
            yield return new LabelIssue
            {
                Row = i,
                Label = names[(int)given[i]],
                SuggestedLabel = names[(int)classes[i]],
                SuggestedProbability = values[i],
                SelfConfidence = ofLabel[i],
                NormalizedMargin = (ofLabel[i] - ofOther[i] + 1) / 2,
            };
    }

    /// <summary>The texts of suspected rows, which usually name their files.</summary>
    private static void Describe(LabelIssue[] ranking, IDataView data)
    {
        (int Index, long Row)[] suspected =
            [.. ranking.Index().Where(image => image.Item.IsSuspected).Select(image => (image.Index, image.Item.Row)).OrderBy(i => i.Row)];
        var texts = RowDescription.TextsOf(data, [.. suspected.Select(image => image.Row)]);
        foreach (var (place, image) in suspected.Index())
            ranking[image.Index] = ranking[image.Index] with { Texts = texts[place] };
    }

    private static long[] RowsOfData(long count, IReadOnlyCollection<long> skipped)
    {
        var leftOut = skipped.ToHashSet();
        var rows = new long[count];
        var row = 0L;
        for (var i = 0; i < rows.Length; i++, row++)
        {
            while (leftOut.Contains(row))
                row++;
            rows[i] = row;
        }
        return rows;
    }

    private static DuplicateImages[] FindDuplicates(ImageSet set, long[] rowsOfData, IReadOnlyList<string> names, Action checkAlive)
    {
        var labels = set.Labels.data<long>().ToArray();
        var digests = set.Digests.data<long>().ToArray();
        var exact = Enumerable.Range(0, labels.Length).GroupBy(row => digests[row]).Select(rows => rows.Select(r => (long)r).ToArray());
        var groups = exact.Where(rows => rows.Length > 1).Select(rows => (Rows: rows, IsExact: true));
        if (Math.Min(set.Shape.Height, set.Shape.Width) >= PerceptualHash.SmallestSide)
            groups = groups.Concat(PerceptualHash.FindGroups(set, checkAlive)
                .Where(rows => rows.Select(row => digests[row]).Distinct().Skip(1).Any())
                .Select(rows => (Rows: rows, IsExact: false)));
        return
        [
            .. groups.Where(group => group.Rows.Select(row => labels[row]).Distinct().Skip(1).Any())
                .Select(group => new DuplicateImages
                {
                    Rows = [.. group.Rows.Select(row => rowsOfData[row])],
                    Labels = [.. group.Rows.Select(row => names[(int)labels[row]])],
                    IsExact = group.IsExact,
                }),
        ];
    }

    private static ClassOverlap[] FindOverlaps(IReadOnlyList<IReadOnlyList<double>> joint, IReadOnlyList<string> names) =>
    [
        .. from label in Enumerable.Range(0, names.Count)
           from other in Enumerable.Range(0, names.Count)
           where label != other && joint[label][other] > 0
           orderby joint[label][other] descending
           select new ClassOverlap
           {
               Label = names[label],
               TrueLabel = names[other],
               Count = joint[label][other],
               Share = joint[label][other] / joint[label].Sum(),
           },
    ];

    private sealed class Columns
    {
        public bool IsLabelIssue { get; set; }

        public float LabelQuality { get; set; } = float.NaN;

        public string SuggestedLabel { get; set; } = "";
    }

    private sealed class Suspicion
    {
        public bool IsLabelIssue { get; set; }
    }
}

/// <summary>How well the label of an image fits what networks predict that were not trained on the image.</summary>
public sealed record LabelIssue
{
    /// <summary>The row of the data, from 0.</summary>
    public required long Row { get; init; }

    /// <summary>The given label.</summary>
    public required string Label { get; init; }

    /// <summary>The most probable class.</summary>
    public required string SuggestedLabel { get; init; }

    /// <summary>The probability of <see cref="SuggestedLabel"/>, in [0, 1].</summary>
    public required double SuggestedProbability { get; init; }

    /// <summary>The probability of <see cref="Label"/>, in [0, 1]. Low values are suspicious.</summary>
    public required double SelfConfidence { get; init; }

    /// <summary>
    /// The probability of <see cref="Label"/> minus that of the most probable other class, scaled to [0, 1]. Below 0.5 another class is
    /// more probable.
    /// </summary>
    public required double NormalizedMargin { get; init; }

    /// <summary>Whether confident learning suspects the label.</summary>
    public bool IsSuspected { get; init; }

    /// <summary>The texts of the row by column name, such as the path of a file; empty for rows that are not suspected.</summary>
    public IReadOnlyDictionary<string, string> Texts { get; init; } = new Dictionary<string, string>();

    /// <summary>The row, its label and the suggestion.</summary>
    public override string ToString()
    {
        var texts = Texts.Count == 0 ? "" : $" ({string.Join(", ", Texts.Values)})";
        return FormattableString.Invariant($"Row {Row}{texts}: {Label}, suggested {SuggestedLabel} with {SuggestedProbability:0.00}");
    }
}

/// <summary>Images that look the same and have different labels.</summary>
public sealed record DuplicateImages
{
    /// <summary>The rows of the data, from 0.</summary>
    public required IReadOnlyList<long> Rows { get; init; }

    /// <summary>The label of each row.</summary>
    public required IReadOnlyList<string> Labels { get; init; }

    /// <summary>Whether all pixels are equal, after resizing to the size of the network.</summary>
    public bool IsExact { get; init; }

    /// <summary>The rows and their labels.</summary>
    public override string ToString() =>
        $"Rows {string.Join(", ", Rows.Zip(Labels, (row, label) => FormattableString.Invariant($"{row} ({label})")))}"
        + (IsExact ? ", identical" : ", similar");
}

/// <summary>Two classes of which one is labeled as the other.</summary>
public sealed record ClassOverlap
{
    /// <summary>The given label.</summary>
    public required string Label { get; init; }

    /// <summary>The class that these images probably have.</summary>
    public required string TrueLabel { get; init; }

    /// <summary>The estimated number of such images.</summary>
    public required double Count { get; init; }

    /// <summary>The share of the images with <see cref="Label"/> that they are, in [0, 1].</summary>
    public required double Share { get; init; }

    /// <summary>The two classes and the number of images.</summary>
    public override string ToString() =>
        FormattableString.Invariant($"{Label} instead of {TrueLabel}: about {Count:0} images, {Share:0.0000} of {Label}");
}
