using Microsoft.ML.Data;

namespace Microsoft.ML.Flooding.Scoring;

/// <summary>Getters of the two scored columns over wherever the probabilities of the current row are.</summary>
internal static class ScoredRow
{
    public delegate ReadOnlySpan<float> ProbabilitiesOfCurrentRow();

    /// <summary>The getter of a scored column.</summary>
    /// <exception cref="InvalidOperationException">The column has another type than <typeparamref name="TValue"/>.</exception>
    public static ValueGetter<TValue> CreateGetter<TValue>(ScoringSchema schema, DataViewSchema.Column column, ProbabilitiesOfCurrentRow probabilities)
    {
        Delegate getter = column.Index == schema.Score.Index
            ? ScoreGetter(probabilities)
            : Type.GetTypeCode(column.Type.RawType) switch
            {
                TypeCode.Byte => (ValueGetter<byte>)((ref byte value) => value = (byte)Predicted(probabilities())),
                TypeCode.UInt16 => (ValueGetter<ushort>)((ref ushort value) => value = (ushort)Predicted(probabilities())),
                TypeCode.UInt32 => (ValueGetter<uint>)((ref uint value) => value = Predicted(probabilities())),
                _ => (ValueGetter<ulong>)((ref ulong value) => value = Predicted(probabilities())),
            };
        return getter as ValueGetter<TValue>
            ?? throw new InvalidOperationException($"Column '{column.Name}' holds {column.Type.RawType.Name}, not {typeof(TValue).Name}.");
    }

    private static ValueGetter<VBuffer<float>> ScoreGetter(ProbabilitiesOfCurrentRow probabilities) =>
        (ref VBuffer<float> value) =>
        {
            var current = probabilities();
            var editor = VBufferEditor.Create(ref value, current.Length);
            current.CopyTo(editor.Values);
            value = editor.Commit();
        };

    /// <summary>The key of the most probable class, from 1; the first of equals. 0, a missing key, where there are no probabilities.</summary>
    private static uint Predicted(ReadOnlySpan<float> probabilities)
    {
        if (float.IsNaN(probabilities[0]))
            return 0;
        var best = 0;
        for (var i = 1; i < probabilities.Length; i++)
            if (probabilities[i] > probabilities[best])
                best = i;
        return (uint)best + 1;
    }
}
