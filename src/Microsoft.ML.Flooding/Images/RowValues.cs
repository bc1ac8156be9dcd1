using Microsoft.ML.Runtime;
using Microsoft.ML.Transforms;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Images;

/// <summary>
/// The values of a view's rows other than their images, in the order of the data. They are read before the images, because a store needs
/// the number of rows.
/// </summary>
internal sealed class RowValues
{
    // The maximum of ML.NET's hash. If two values have the same hash, their images stay together, which does no harm.
    private const int HashBits = 31;

    // Hides a column of the same name, but only in this class.
    private const string Hash = "hash of the sampling key";

    private readonly List<float>? _weights;
    private readonly List<long>? _groups;

    private RowValues(bool weighted, bool grouped) => (_weights, _groups) = (weighted ? [] : null, grouped ? [] : null);

    /// <summary>The number of rows, at least 1.</summary>
    public long Count { get; private set; }

    /// <summary>Reads the columns that <paramref name="options"/> names, and checks that each row has a label.</summary>
    /// <exception cref="InvalidOperationException">
    /// There are no rows, a label is missing, or a weight is invalid. The message names the row.
    /// </exception>
    public static RowValues Read(IHostEnvironment env, IDataView data, string labelColumn, ImageSetOptions options, Action checkAlive)
    {
        var values = new RowValues(options.WeightColumn is not null, options.SamplingKeyColumn is not null);
        var source = options.SamplingKeyColumn is { } key ? WithHash(env, data, key) : data;
        string?[] columns = [labelColumn, options.WeightColumn, options.SamplingKeyColumn is null ? null : Hash];
        using var cursor = source.GetRowCursor(columns.OfType<string>().Select(name => source.Schema[name]));
        var readLabel = LabelReader.CreateGetter(cursor, labelColumn);
        var readWeight = options.WeightColumn is { } weight ? cursor.GetGetter<float>(source.Schema[weight]) : null;
        var readGroup = options.SamplingKeyColumn is not null ? cursor.GetGetter<uint>(source.Schema[Hash]) : null;
        for (; cursor.MoveNext(); values.Count++)
        {
            if (readLabel() < 0)
                throw new InvalidOperationException(
                    $"Column '{labelColumn}', {RowDescription.Of(data, values.Count)}: the label is missing. "
                    + "Drop such rows, for instance with DataOperationsCatalog.FilterRowsByMissingValues.");
            if (readWeight is not null)
                values.AddWeight(readWeight, data, options.WeightColumn!);
            if (readGroup is not null)
                values.AddGroup(readGroup);
            if (values.Count % 1024 == 0)
                checkAlive();
        }
        if (values.Count == 0)
            throw new InvalidOperationException("The training data has no rows.");
        if (values._weights?.TrueForAll(weight => weight == 0) == true)
            throw new InvalidOperationException(
                $"Column '{options.WeightColumn}': the weight of every row is 0, and training leaves out such rows. "
                + "Set a positive weight for at least one row.");
        return values;
    }

    /// <summary>
    /// Returns the weights (float32) and the groups (int64) of the rows that are not left out; null if there is no such column.
    /// </summary>
    public (Tensor? Weights, Tensor? Groups) Without(IReadOnlySet<long> leftOut) => (
        _weights is null ? null : tensor(Keep(_weights, leftOut)).DetachFromDisposeScope(),
        _groups is null ? null : tensor(Keep(_groups, leftOut)).DetachFromDisposeScope());

    private static IDataView WithHash(IHostEnvironment env, IDataView data, string column) =>
        new HashingTransformer(env, new HashingEstimator.ColumnOptions(Hash, column, HashBits, combine: true)).Transform(data);

    private static T[] Keep<T>(List<T> values, IReadOnlySet<long> leftOut) => [.. values.Where((_, row) => !leftOut.Contains(row))];

    private void AddWeight(ValueGetter<float> read, IDataView data, string column)
    {
        var weight = 0f;
        read(ref weight);
        if (!float.IsFinite(weight) || weight < 0)
            throw new InvalidOperationException(FormattableString.Invariant(
                $"Column '{column}', {RowDescription.Of(data, Count)}: the weight is {weight}. Weights must be finite and at least 0."));
        _weights!.Add(weight);
    }

    private void AddGroup(ValueGetter<uint> read)
    {
        var group = 0u;
        read(ref group);
        _groups!.Add(group);
    }
}
