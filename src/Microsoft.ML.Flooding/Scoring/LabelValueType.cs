using System.Globalization;
using Microsoft.ML.Data;

namespace Microsoft.ML.Flooding.Scoring;

/// <summary>A type of label values, with a lossless text form.</summary>
internal abstract class LabelValueType(PrimitiveDataViewType type, string name)
{
    private static readonly LabelValueType[] All =
    [
        new Of<ReadOnlyMemory<char>>(TextDataViewType.Instance, m => m.ToString(), s => s.AsMemory(), "Text"),
        new Of<bool>(BooleanDataViewType.Instance, b => b ? "True" : "False", bool.Parse),
        Number<sbyte>(NumberDataViewType.SByte),
        Number<byte>(NumberDataViewType.Byte),
        Number<short>(NumberDataViewType.Int16),
        Number<ushort>(NumberDataViewType.UInt16),
        Number<int>(NumberDataViewType.Int32),
        Number<uint>(NumberDataViewType.UInt32),
        Number<long>(NumberDataViewType.Int64),
        Number<ulong>(NumberDataViewType.UInt64),
        Number<float>(NumberDataViewType.Single),
        Number<double>(NumberDataViewType.Double),
        new Of<DateTime>(DateTimeDataViewType.Instance, d => d.ToString("O", CultureInfo.InvariantCulture),
            s => DateTime.Parse(s, CultureInfo.InvariantCulture, DateTimeStyles.RoundtripKind)),
        new Of<DateTimeOffset>(DateTimeOffsetDataViewType.Instance, d => d.ToString("O", CultureInfo.InvariantCulture),
            s => DateTimeOffset.Parse(s, CultureInfo.InvariantCulture)),
        new Of<TimeSpan>(TimeSpanDataViewType.Instance, d => d.ToString("c", CultureInfo.InvariantCulture),
            s => TimeSpan.Parse(s, CultureInfo.InvariantCulture)),
    ];

    /// <summary>The data view type.</summary>
    public PrimitiveDataViewType Type { get; } = type;

    /// <summary>The name in model files.</summary>
    public string Name { get; } = name;

    /// <summary>Finds the entry of a data view type; returns null if there is none.</summary>
    public static LabelValueType? Find(DataViewType type) => All.FirstOrDefault(t => t.Type.Equals(type));

    /// <summary>Finds the entry with this <see cref="Name"/>; returns null if there is none.</summary>
    public static LabelValueType? Find(string name) => All.FirstOrDefault(t => t.Name == name);

    /// <summary>Reads the annotation <paramref name="kind"/>, a vector of this type, as text.</summary>
    public abstract string[] Read(DataViewSchema.Annotations annotations, string kind);

    /// <summary>Adds the annotation <paramref name="kind"/>, a vector of this type.</summary>
    /// <exception cref="FormatException">A value is not in this type's text form.</exception>
    public abstract void Write(DataViewSchema.Annotations.Builder annotations, string kind, IReadOnlyList<string> values);

    private static Of<T> Number<T>(PrimitiveDataViewType type) where T : IFormattable, IParsable<T> =>
        new(type, n => n.ToString(null, CultureInfo.InvariantCulture), s => T.Parse(s, CultureInfo.InvariantCulture));

    private sealed class Of<T>(PrimitiveDataViewType type, Func<T, string> format, Func<string, T> parse, string? name = null)
        : LabelValueType(type, name ?? typeof(T).Name)
    {
        public override string[] Read(DataViewSchema.Annotations annotations, string kind)
        {
            var values = default(VBuffer<T>);
            annotations.GetValue(kind, ref values);
            return [.. values.DenseValues().Select(format)];
        }

        public override void Write(DataViewSchema.Annotations.Builder annotations, string kind, IReadOnlyList<string> values)
        {
            var parsed = values.Select(parse).ToArray();
            annotations.Add(
                kind, new VectorDataViewType(Type, parsed.Length),
                (ref VBuffer<T> value) => new VBuffer<T>(parsed.Length, parsed).CopyTo(ref value));
        }
    }
}
