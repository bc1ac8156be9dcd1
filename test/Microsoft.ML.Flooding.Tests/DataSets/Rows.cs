using Microsoft.ML.Data;

namespace Microsoft.ML.Flooding.Tests.DataSets;

/// <summary>The rows of a data set's view.</summary>
internal static class Rows
{
    public static IReadOnlyList<(byte[] Pixels, string Label)> Of(IDataView view)
    {
        var names = default(VBuffer<ReadOnlyMemory<char>>);
        view.Schema["Label"].GetKeyValues(ref names);
        var rows = new List<(byte[], string)>();
        using var cursor = view.GetRowCursor(view.Schema);
        var features = cursor.GetGetter<VBuffer<byte>>(view.Schema["Features"]);
        var label = cursor.GetGetter<uint>(view.Schema["Label"]);
        var pixels = default(VBuffer<byte>);
        var key = 0u;
        while (cursor.MoveNext())
        {
            features(ref pixels);
            label(ref key);
            rows.Add((pixels.DenseValues().ToArray(), names.GetItemOrDefault((int)key - 1).ToString()));
        }
        return rows;
    }
}
