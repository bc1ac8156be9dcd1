using Microsoft.ML.Data;

namespace Microsoft.ML.Flooding.Images;

/// <summary>Says which row an error is about, in terms its owner can find: usually one of the texts is the file's path.</summary>
internal static class RowDescription
{
    private static readonly Dictionary<string, string> None = [];

    /// <summary>The row's number, counted from 0, and its texts.</summary>
    public static string Of(IDataView data, long row) => Of($"row {row}", TextsOf(data, [row])[0]);

    /// <summary>The number of a row of shuffled data, and its texts.</summary>
    /// <param name="data">The data.</param>
    /// <param name="row">Counted from 0, in the shuffled order.</param>
    /// <param name="shuffle">In the state that the data was shuffled from.</param>
    public static string Of(IDataView data, long row, Random shuffle) =>
        Of($"row {row} of the shuffled rows", TextsOf(data, [row], shuffle)[0]);

    /// <summary>A row that has no number, and those of its texts that can be read.</summary>
    public static string Of(string name, DataViewRow row)
    {
        try
        {
            return Of(name, Read(row, [.. TextColumns(row.Schema).Where(row.IsColumnActive)]));
        }
        catch (Exception)
        {
            return name;
        }
    }

    /// <summary>A row and its texts.</summary>
    public static string Of(string name, IReadOnlyDictionary<string, string> texts) =>
        texts.Count == 0 ? name : $"{name} ({string.Join(", ", texts.Select(text => $"{text.Key} = '{text.Value}'"))})";

    /// <summary>The texts of each of these rows, by the column's name: empty where there are none, or none can be read.</summary>
    /// <param name="data">The data.</param>
    /// <param name="rows">Row numbers, ascending.</param>
    /// <param name="shuffle">In the state that the data was shuffled from; null if it was not.</param>
    public static IReadOnlyList<IReadOnlyDictionary<string, string>> TextsOf(IDataView data, IReadOnlyList<long> rows, Random? shuffle = null)
    {
        var texts = new IReadOnlyDictionary<string, string>[rows.Count];
        Array.Fill(texts, None);
        DataViewSchema.Column[] columns = [.. TextColumns(data.Schema)];
        if (columns.Length == 0)
            return texts;
        try
        {
            using var cursor = data.GetRowCursor(columns, shuffle);
            var next = 0;
            for (var row = 0L; next < rows.Count && cursor.MoveNext(); row++)
            {
                if (row == rows[next])
                    texts[next++] = Read(cursor, columns);
            }
        }
        catch (Exception)
        {
            // It is said beside another error, which must not be lost over this one.
        }

        return texts;
    }

    private static IEnumerable<DataViewSchema.Column> TextColumns(DataViewSchema schema) =>
        schema.Where(column => !column.IsHidden && column.Type is TextDataViewType);

    private static Dictionary<string, string> Read(DataViewRow row, DataViewSchema.Column[] columns) =>
        columns.ToDictionary(column => column.Name, column =>
        {
            var text = default(ReadOnlyMemory<char>);
            row.GetGetter<ReadOnlyMemory<char>>(column)(ref text);
            return text.ToString();
        });
}
