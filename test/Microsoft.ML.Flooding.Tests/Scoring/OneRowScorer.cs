using Microsoft.ML.Data;

namespace Microsoft.ML.Flooding.Tests.Scoring;

/// <summary>The reference for a batched cursor: an engine scores the rows one by one, in the order of the source's cursor.</summary>
internal static class OneRowScorer
{
    /// <summary>The last bits can differ, because kernels depend on the batch size.</summary>
    public const float Tolerance = 1e-5f;

    public static void AssertNear(ReadOnlySpan<float> expected, ReadOnlySpan<float> actual)
    {
        Assert.AreEqual(expected.Length, actual.Length);
        for (var i = 0; i < expected.Length; i++)
            Assert.IsTrue(
                float.IsNaN(expected[i]) ? float.IsNaN(actual[i]) : Math.Abs(expected[i] - actual[i]) < Tolerance,
                $"Slot {i}: {expected[i]} and {actual[i]}.");
    }

    /// <summary>Reads the active columns of a cursor to its end, as text and numbers that can be compared.</summary>
    public static List<ScoredRow> ReadAll(DataViewRowCursor cursor)
    {
        using (cursor)
        {
            var rows = new List<ScoredRow>();
            var getters = cursor.Schema.Where(cursor.IsColumnActive)
                .Select(column => (column.Name, Read: Getter(cursor, column))).ToArray();
            var getId = cursor.GetIdGetter();
            while (cursor.MoveNext())
            {
                var id = default(DataViewRowId);
                getId(ref id);
                rows.Add(new(cursor.Position, id, getters.ToDictionary(getter => getter.Name, getter => getter.Read())));
            }
            return rows;
        }
    }

    private static Func<object> Getter(DataViewRow row, DataViewSchema.Column column)
    {
        if (column.Type is VectorDataViewType { ItemType: var item })
            return item == NumberDataViewType.Byte ? Vector<byte>() : Vector<float>();
        return Type.GetTypeCode(column.Type.RawType) switch
        {
            TypeCode.Int32 => Scalar<int>(),
            TypeCode.UInt32 => Scalar<uint>(),
            _ => Text(),
        };

        Func<object> Vector<T>()
        {
            var getter = row.GetGetter<VBuffer<T>>(column);
            return () =>
            {
                var value = default(VBuffer<T>);
                getter(ref value);
                return value.DenseValues().ToArray();
            };
        }

        Func<object> Scalar<T>() where T : struct
        {
            var getter = row.GetGetter<T>(column);
            return () =>
            {
                var value = default(T);
                getter(ref value);
                return value;
            };
        }

        Func<object> Text()
        {
            var getter = row.GetGetter<ReadOnlyMemory<char>>(column);
            return () =>
            {
                var value = default(ReadOnlyMemory<char>);
                getter(ref value);
                return value.ToString();
            };
        }
    }
}

internal sealed record ScoredRow(long Position, DataViewRowId Id, IReadOnlyDictionary<string, object> Values);
