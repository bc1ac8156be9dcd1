using System.Globalization;
using System.Text.Json.Serialization;
using Microsoft.ML.Data;

namespace Microsoft.ML.Flooding.Scoring;

/// <summary>
/// The key type of the label column and the values behind its keys, as text that any process can read back. The predicted label has the same
/// type and values.
/// </summary>
/// <param name="RawType">Name of the key's raw type: Byte, UInt16, UInt32 or UInt64.</param>
/// <param name="Count">Number of classes.</param>
/// <param name="ValueType"><see cref="LabelValueType.Name"/> of the values; null where the column has no key values.</param>
/// <param name="Values">The values' text, one a class; null where the column has none.</param>
internal sealed record LabelKeys(string RawType, int Count, string? ValueType, IReadOnlyList<string>? Values)
{
    private const string KeyValues = "KeyValues";

    private static readonly Type[] RawTypes = [typeof(byte), typeof(ushort), typeof(uint), typeof(ulong)];

    /// <summary>The type of the predicted label.</summary>
    [JsonIgnore]
    public KeyDataViewType KeyType => new(RawTypes.Single(t => t.Name == RawType), Count);

    /// <summary>The names of the classes: the key values, else the numbers from 1.</summary>
    [JsonIgnore]
    public IReadOnlyList<string> Names => Values ?? [.. Enumerable.Range(1, Count).Select(i => i.ToString(CultureInfo.InvariantCulture))];

    /// <summary>Reads a label column's type and key values.</summary>
    /// <exception cref="ArgumentException">The column is not a key of known size.</exception>
    public static LabelKeys Of(DataViewSchema.Column label)
    {
        if (label.Type is not KeyDataViewType key)
            throw new ArgumentException($"The label column '{label.Name}' must be a key; it is {label.Type}. {Remedy(label.Name)}");
        if (key.Count is 0 or > int.MaxValue)
            throw new ArgumentException($"The label column '{label.Name}' is a key of {key.Count} values; between 1 and {int.MaxValue} are possible. {Remedy(label.Name)}");
        var values = label.Annotations.Schema.GetColumnOrNull(KeyValues);
        return values?.Type is VectorDataViewType vector && LabelValueType.Find(vector.ItemType) is { } valueType
            ? new LabelKeys(key.RawType.Name, (int)key.Count, valueType.Name, valueType.Read(label.Annotations, KeyValues))
            : new LabelKeys(key.RawType.Name, (int)key.Count, null, null);
    }

    /// <summary>These classes, with those of an earlier model that are not among them behind.</summary>
    /// <param name="earlier">The classes of the model.</param>
    /// <returns>The union, and for each of its classes the number in <paramref name="earlier"/>; null: it is new.</returns>
    /// <exception cref="ArgumentException">The values are of another type, so that no two are the same.</exception>
    public (LabelKeys Labels, IReadOnlyList<int?> Origins) With(LabelKeys earlier)
    {
        if (ValueType != earlier.ValueType)
            throw new ArgumentException(
                $"The label values are {ValueType ?? "not named"}, those of the pretrained model {earlier.ValueType ?? "not named"}: which classes are the same cannot be told. " +
                "Give the label column values of the same type.");
        var places = earlier.Names.Index().ToDictionary(name => name.Item, name => name.Index);
        var own = Names;
        var missing = earlier.Names.Except(own).ToArray();
        var names = own.Concat(missing).ToArray();
        if (names.Length > MostClasses(RawType))
            throw new ArgumentException(
                $"The label column has {Count} classes and the pretrained model {missing.Length} others, more than the {MostClasses(RawType)} that a key of the type " +
                $"{RawType} can tell apart. Give the label column a larger key type, as MapValueToKey does.");
        return (this with { Count = names.Length, Values = Values is null ? null : names },
            [.. names.Select(name => places.TryGetValue(name, out var place) ? place : (int?)null)]);
    }

    /// <summary>A key of 0 is a missing value.</summary>
    private static int MostClasses(string rawType) => rawType switch
    {
        nameof(Byte) => byte.MaxValue,
        nameof(UInt16) => ushort.MaxValue,
        _ => int.MaxValue,
    };

    /// <summary>What to tell a user whose label column is not a key.</summary>
    public static string Remedy(string column) => $"Put mlContext.Transforms.Conversion.MapValueToKey(\"{column}\") before the trainer.";

    /// <summary>Adds the values, in their own type, to the annotations of a column.</summary>
    public void AddValues(DataViewSchema.Annotations.Builder annotations, string kind)
    {
        if (ValueType is not null)
            LabelValueType.Find(ValueType)!.Write(annotations, kind, Values!);
    }

    /// <summary>Throws when the members contradict each other, as they may in a damaged file.</summary>
    /// <exception cref="InvalidDataException">The message says which.</exception>
    public void Validate()
    {
        if (!RawTypes.Any(t => t.Name == RawType))
            throw new InvalidDataException($"'{RawType}' is not the raw type of a key.");
        if (Count < 1)
            throw new InvalidDataException($"A model cannot have {Count} classes.");
        if (Count > MostClasses(RawType))
            throw new InvalidDataException($"A key of the type {RawType} cannot tell {Count} classes apart.");
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
