using System.Globalization;
using System.Text.Json;

namespace Microsoft.ML.Flooding.Persistence;

/// <summary>
/// The members of a JSON object. A member that is missing, or has another type than asked for, is an <see cref="InvalidDataException"/> that
/// names it.
/// </summary>
internal readonly struct JsonMembers
{
    private readonly JsonElement _object;

    /// <exception cref="InvalidDataException">The element is not an object.</exception>
    public JsonMembers(JsonElement element)
    {
        if (element.ValueKind != JsonValueKind.Object)
            throw new InvalidDataException($"The description has {Describe(element)} instead of an object.");
        _object = element;
    }

    /// <summary>Whether the object has the member.</summary>
    public bool Has(string name) => _object.TryGetProperty(name, out _);

    public JsonMembers Object(string name) => new(Get(name));

    public JsonMembers? ObjectOrNull(string name) => GetOrNull(name) is { } element ? new(element) : null;

    public T[] Objects<T>(string name, Func<JsonMembers, T> read) => Items(name, element => read(new JsonMembers(element)));

    public string Text(string name) => Text(name, Get(name));

    public string? TextOrNull(string name) => GetOrNull(name) is { } element ? Text(name, element) : null;

    public string[] Texts(string name) => Items(name, element => Text(name, element));

    public string[]? TextsOrNull(string name) => GetOrNull(name) is null ? null : Texts(name);

    public Dictionary<string, string> TextByName(string name)
    {
        var texts = new Dictionary<string, string>();
        foreach (var member in Object(name)._object.EnumerateObject())
            texts[member.Name] = Text(member.Name, member.Value);
        return texts;
    }

    public bool Flag(string name) => Get(name) is { ValueKind: JsonValueKind.True or JsonValueKind.False } element
        ? element.GetBoolean()
        : throw Wrong(name, Get(name));

    public int Int(string name) =>
        Get(name) is { ValueKind: JsonValueKind.Number } element && element.TryGetInt32(out var value) ? value : throw Wrong(name, Get(name));

    public long Long(string name) =>
        Get(name) is { ValueKind: JsonValueKind.Number } element && element.TryGetInt64(out var value) ? value : throw Wrong(name, Get(name));

    public double Number(string name) => Number(name, Get(name));

    public double? NumberOrNull(string name) => GetOrNull(name) is { } element ? Number(name, element) : null;

    public float Single(string name) => Single(name, Get(name));

    public float[] Singles(string name) => Items(name, element => Single(name, element));

    /// <summary>The value of an enumeration by its name; <paramref name="absent"/> if the object lacks the member.</summary>
    public T Value<T>(string name, T absent) where T : struct, Enum =>
        !Has(name) ? absent
        : Enum.GetNames<T>().AsSpan().IndexOf(Text(name)) is >= 0 and var index ? Enum.GetValues<T>()[index]
        : throw Wrong(name, Get(name));

    private static string Text(string name, JsonElement element)
    {
        if (element.ValueKind != JsonValueKind.String)
            throw Wrong(name, element);
        try
        {
            return element.GetString()!;
        }
        // An escaped half of a surrogate pair.
        catch (InvalidOperationException e)
        {
            throw new InvalidDataException($"The member '{name}' of the description has text that is not valid Unicode.", e);
        }
    }

    private static double Number(string name, JsonElement element) => element.ValueKind switch
    {
        JsonValueKind.Number when element.TryGetDouble(out var value) => value,
        JsonValueKind.String => NotFinite(name, element),
        _ => throw Wrong(name, element),
    };

    // Not the double rounded to a float, which can differ in the last bit.
    private static float Single(string name, JsonElement element) => element.ValueKind switch
    {
        JsonValueKind.Number when element.TryGetSingle(out var value) => value,
        JsonValueKind.String => (float)NotFinite(name, element),
        _ => throw Wrong(name, element),
    };

    /// <summary>JSON has no numbers that are not finite, so they are written as text.</summary>
    private static double NotFinite(string name, JsonElement element) => Text(name, element) switch
    {
        "NaN" => double.NaN,
        "Infinity" => double.PositiveInfinity,
        "-Infinity" => double.NegativeInfinity,
        _ => throw Wrong(name, element),
    };

    private static string Describe(JsonElement element) => element.ValueKind switch
    {
        JsonValueKind.Object => "an object",
        JsonValueKind.Array => "a list",
        JsonValueKind.Null => "null",
        _ => string.Create(CultureInfo.InvariantCulture, $"the value {element.GetRawText()}"),
    };

    private static InvalidDataException Wrong(string name, JsonElement element) =>
        new($"The member '{name}' of the description cannot be {Describe(element)}.");

    private JsonElement Get(string name) => _object.TryGetProperty(name, out var element)
        ? element
        : throw new InvalidDataException($"The description lacks the member '{name}'.");

    private JsonElement? GetOrNull(string name) =>
        _object.TryGetProperty(name, out var element) && element.ValueKind != JsonValueKind.Null ? element : null;

    private T[] Items<T>(string name, Func<JsonElement, T> read)
    {
        var element = Get(name);
        if (element.ValueKind != JsonValueKind.Array)
            throw Wrong(name, element);
        var items = new T[element.GetArrayLength()];
        var count = 0;
        foreach (var item in element.EnumerateArray())
            items[count++] = read(item);
        return items;
    }
}
