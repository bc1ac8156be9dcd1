using System.Numerics;
using Microsoft.ML.Data;

namespace Microsoft.ML.Flooding.Images;

/// <summary>Reads a key column as class indices.</summary>
internal static class LabelReader
{
    /// <summary>Creates a function that reads the class index of the cursor's current row; -1 if the label is missing.</summary>
    public static Func<long> CreateGetter(DataViewRow row, string labelColumn)
    {
        var column = row.Schema[labelColumn];
        if (column.Type is not KeyDataViewType key)
            throw new ArgumentException(
                $"Label column '{labelColumn}' is {column.Type}, but must be a key. Map it with Conversion.MapValueToKey.");
        return key.RawType == typeof(byte) ? Create<byte>(row, column)
            : key.RawType == typeof(ushort) ? Create<ushort>(row, column)
            : key.RawType == typeof(uint) ? Create<uint>(row, column)
            : Create<ulong>(row, column);
    }

    private static Func<long> Create<T>(DataViewRow row, DataViewSchema.Column column)
        where T : INumberBase<T>
    {
        var getter = row.GetGetter<T>(column);
        var value = T.Zero;
        return () =>
        {
            getter(ref value);
            return long.CreateChecked(value) - 1;
        };
    }
}
