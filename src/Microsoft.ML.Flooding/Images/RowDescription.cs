using Microsoft.ML.Data;

namespace Microsoft.ML.Flooding.Images;

/// <summary>Describes the row of an error so that the user can find it: usually one of its texts is the path of a file.</summary>
internal static class RowDescription
{
    private static readonly Dictionary<string, string> None = [];

    /// <summary>Describes a row by its number, counted from 0, and its texts.</summary>
    public static string Of(IDataView data, long row) => Of($"row {row}", TextsOf(data, [row])[0]);

    /// <summary>Describes a row of shuffled data by its number and its texts.</summary>
    /// <param name="data">The data.</param>
    /// <param name="row">The row number in the shuffled order, counted from 0.</param>
    /// <param name="shuffle">A generator in the state from which the data was shuffled.</param>
    public static string Of(IDataView data, long row, Random shuffle) =>
        Of($"row {row} of the shuffled rows", TextsOf(data, [row], shuffle)[0]);

    /// <summary>Describes a row without a number by the texts that can be read.</summary>
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

    /// <summary>Describes a row by its name and its texts.</summary>
    public static string Of(string name, IReadOnlyDictionary<string, string> texts) =>
        texts.Count == 0 ? name : $"{name} ({string.Join(", ", texts.Select(text => $"{text.Key} = '{text.Value}'"))})";

    /// <summary>Reads the texts of these rows, by column name. A row without readable texts has an empty dictionary.</summary>
    /// <param name="data">The data.</param>
    /// <param name="rows">The row numbers, ascending.</param>
    /// <param name="shuffle">A generator in the state from which the data was shuffled; null if it was not.</param>
    public static IReadOnlyList<IReadOnlyDictionary<string, string>> TextsOf(
        IDataView data, IReadOnlyList<long> rows, Random? shuffle = null)
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
            // The texts belong to another error, which this one must not replace.
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
