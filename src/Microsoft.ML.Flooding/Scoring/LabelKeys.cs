using System.Globalization;
using System.Text.Json.Serialization;
using Microsoft.ML.Data;

namespace Microsoft.ML.Flooding.Scoring;

/// <summary>
/// The key type of the label column and the values of its keys, as text that any process can read. The predicted label has the same type
/// and values.
/// </summary>
/// <param name="RawType">The name of the key's raw type: Byte, UInt16, UInt32 or UInt64.</param>
/// <param name="Count">The number of classes.</param>
/// <param name="ValueType">The <see cref="LabelValueType.Name"/> of the values; null if the column has no key values.</param>
/// <param name="Values">The text of each class's value; null if the column has no key values.</param>
internal sealed record LabelKeys(string RawType, int Count, string? ValueType, IReadOnlyList<string>? Values)
{
    private const string KeyValues = "KeyValues";

    private static readonly Type[] RawTypes = [typeof(byte), typeof(ushort), typeof(uint), typeof(ulong)];

    /// <summary>The type of the predicted label.</summary>
    [JsonIgnore]
    public KeyDataViewType KeyType => new(RawTypes.Single(t => t.Name == RawType), Count);

    /// <summary>The names of the classes: the key values, or the numbers from 1 if there are none.</summary>
    [JsonIgnore]
    public IReadOnlyList<string> Names => Values ?? [.. Enumerable.Range(1, Count).Select(i => i.ToString(CultureInfo.InvariantCulture))];

    /// <summary>Reads the type and the key values of a label column.</summary>
    /// <exception cref="ArgumentException">The column is not a key of known size.</exception>
    public static LabelKeys Of(DataViewSchema.Column label)
    {
        if (label.Type is not KeyDataViewType key)
            throw new ArgumentException($"The label column '{label.Name}' must be a key, but is {label.Type}. {Remedy(label.Name)}");
        if (key.Count is 0 or > int.MaxValue)
            throw new ArgumentException(
                $"The label column '{label.Name}' is a key of {key.Count} values, but must have from 1 to {int.MaxValue}. "
                + Remedy(label.Name));
        var values = label.Annotations.Schema.GetColumnOrNull(KeyValues);
        return values?.Type is VectorDataViewType vector && LabelValueType.Find(vector.ItemType) is { } valueType
            ? new LabelKeys(key.RawType.Name, (int)key.Count, valueType.Name, valueType.Read(label.Annotations, KeyValues))
            : new LabelKeys(key.RawType.Name, (int)key.Count, null, null);
    }

    /// <summary>Returns these classes, followed by the classes of an earlier model that these lack.</summary>
    /// <param name="earlier">The classes of the model.</param>
    /// <returns>The union, and for each of its classes the index in <paramref name="earlier"/>, or null for a new class.</returns>
    /// <exception cref="ArgumentException">The types of the values differ, or the key type is too small for the union.</exception>
    public (LabelKeys Labels, IReadOnlyList<int?> Origins) With(LabelKeys earlier)
    {
        if (ValueType != earlier.ValueType)
            throw new ArgumentException(
                $"The label values have the type {ValueType ?? "(none)"}, but those of the pretrained model have the type "
                + $"{earlier.ValueType ?? "(none)"}, so the classes cannot be matched. Use a label column with values of the same type.");
        var places = earlier.Names.Index().ToDictionary(name => name.Item, name => name.Index);
        var own = Names;
        var missing = earlier.Names.Except(own).ToArray();
        var names = own.Concat(missing).ToArray();
        if (names.Length > MostClasses(RawType))
            throw new ArgumentException(
                $"The label column has {Count} classes, and the pretrained model {missing.Length} other classes: more than the "
                + $"{MostClasses(RawType)} values of a key of type {RawType}. Use a larger key type for the label column, as MapValueToKey "
                + "does.");
        return (this with { Count = names.Length, Values = Values is null ? null : names },
            [.. names.Select(name => places.TryGetValue(name, out var place) ? place : (int?)null)]);
    }

    /// <summary>The largest number of classes of a key type: the key 0 is the missing value.</summary>
    private static int MostClasses(string rawType) => rawType switch
    {
        nameof(Byte) => byte.MaxValue,
        nameof(UInt16) => ushort.MaxValue,
        _ => int.MaxValue,
    };

    /// <summary>The remedy for a label column that is not a key.</summary>
    public static string Remedy(string column) => $"Put mlContext.Transforms.Conversion.MapValueToKey(\"{column}\") before the trainer.";

    /// <summary>Adds the values, in their own type, to a column's annotations.</summary>
    public void AddValues(DataViewSchema.Annotations.Builder annotations, string kind)
    {
        if (ValueType is not null)
            LabelValueType.Find(ValueType)!.Write(annotations, kind, Values!);
    }

    /// <summary>Throws if the members contradict each other, which happens in a damaged file.</summary>
    /// <exception cref="InvalidDataException">The message names the problem.</exception>
    public void Validate()
    {
        if (!RawTypes.Any(t => t.Name == RawType))
            throw new InvalidDataException($"'{RawType}' is not the raw type of a key.");
        if (Count < 1)
            throw new InvalidDataException($"A model cannot have {Count} classes.");
        if (Count > MostClasses(RawType))
            throw new InvalidDataException($"A key of type {RawType} cannot have {Count} classes.");
        if (ValueType is not null && LabelValueType.Find(ValueType) is null)
            throw new InvalidDataException($"'{ValueType}' is not the type of a label value.");
        if (ValueType is null != Values is null || (Values is not null && Values.Count != Count))
            throw new InvalidDataException($"There are {Values?.Count ?? 0} label values for {Count} classes.");
    }

    /// <inheritdoc/>
    public bool Equals(LabelKeys? other) =>
        other is not null && RawType == other.RawType && Count == other.Count && ValueType == other.ValueType
        && (Values ?? []).SequenceEqual(other.Values ?? []);

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(RawType, Count, ValueType);
}

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
