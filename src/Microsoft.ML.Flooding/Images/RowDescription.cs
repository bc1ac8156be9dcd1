using Microsoft.ML.Data;

namespace Microsoft.ML.Flooding.Images;

/// <summary>Says which row an error is about, in terms its owner can find: usually one of the texts is the file's path.</summary>
internal static class RowDescription
{
    /// <summary>The row's number, counted from 0, and its texts.</summary>
    public static string Of(IDataView data, long row)
    {
        var columns = data.Schema.Where(column => !column.IsHidden && column.Type is TextDataViewType).ToArray();
        var texts = columns.Length == 0 ? [] : Read(data, row, columns);
        return texts.Length == 0 ? $"row {row}" : $"row {row} ({string.Join(", ", texts)})";
    }

    private static string[] Read(IDataView data, long row, DataViewSchema.Column[] columns)
    {
        using var cursor = data.GetRowCursor(columns);
        for (var i = 0L; i <= row; i++)
        {
            if (!cursor.MoveNext())
                return [];
        }

        return [.. columns.Select(column =>
        {
            var text = default(ReadOnlyMemory<char>);
            cursor.GetGetter<ReadOnlyMemory<char>>(column)(ref text);
            return $"{column.Name} = '{text}'";
        })];
    }
}
