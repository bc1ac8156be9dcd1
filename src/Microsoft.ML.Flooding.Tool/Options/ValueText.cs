using System.Collections;
using System.Globalization;
using System.Reflection;

namespace Mlflood.Options;

/// <summary>
/// Reads the value of an option from text. A value type of the library, such as Augmentation, is read by its own public members:
/// "NAME" is a static property, "NAME:ARGUMENT:ARGUMENT" a static method, "on" the default, and ",PROPERTY=VALUE" changes a property.
/// </summary>
internal static class ValueText
{
    private const string DefaultValue = "on";

    /// <summary>Whether values of a type can be written as text.</summary>
    public static bool IsSupported(Type type) =>
        IsScalar(type) || (type.Namespace == typeof(TrainingOptions).Namespace && Names(type).Any());

    /// <summary>The words that a value can begin with, for help and completion.</summary>
    public static IEnumerable<string> Names(Type type)
    {
        type = Nullable.GetUnderlyingType(type) ?? type;
        if (type.IsEnum)
            return Enum.GetNames(type);
        if (IsScalar(type))
            return [];
        var presets = Presets(type).Select(property => property.Name);
        var factories = Factories(type).OrderBy(method => Given(method).Length).Select(method =>
            method.Name + string.Concat(Given(method).Select(p => $":{p.Name}" + (IsList(p.ParameterType) ? "..." : ""))));
        var names = presets.Concat(factories);
        return type.GetConstructor([]) is null ? names : names.Prepend(DefaultValue);
    }

    /// <summary>The properties that ",PROPERTY=VALUE" can change.</summary>
    public static IEnumerable<PropertyInfo> Changeable(Type type) => IsScalar(type) || type.GetMethod("<Clone>$") is null
        ? []
        : type.GetProperties(BindingFlags.Public | BindingFlags.Instance)
            .Where(property => property.SetMethod is { IsPublic: true } && IsSupported(property.PropertyType));

    /// <exception cref="FormatException">The text is not a value of the type; the message says what is.</exception>
    public static object? Parse(Type type, string text)
    {
        if (Nullable.GetUnderlyingType(type) is { } inner)
            return text is "null" ? null : Parse(inner, text);
        if (type == typeof(string))
            return text;
        if (type.IsEnum)
            return Enum.TryParse(type, text, ignoreCase: true, out var value) && Enum.IsDefined(type, value!)
                ? value
                : throw new FormatException($"'{text}' is not one of {string.Join(", ", Enum.GetNames(type))}.");
        if (IsScalar(type))
            return ParseNumber(type, text) ?? throw new FormatException($"'{text}' is not {Kind(type)}.");
        return text == "null" ? null : ParsePreset(type, text);
    }

    /// <summary>What a value is, for the help and for errors.</summary>
    public static string Kind(Type type) => (Nullable.GetUnderlyingType(type) ?? type) switch
    {
        var t when t == typeof(int) || t == typeof(long) => "a whole number",
        var t when t == typeof(float) || t == typeof(double) => "a number",
        var t when t == typeof(bool) => "true or false",
        _ => "text",
    };

    /// <summary>Reads a number or a Boolean, without separators of thousands; null: the text is none.</summary>
    private static object? ParseNumber(Type type, string text)
    {
        var culture = CultureInfo.InvariantCulture;
        if (type == typeof(bool))
            return bool.TryParse(text, out var flag) ? flag : null;
        if (type == typeof(int))
            return int.TryParse(text, NumberStyles.AllowLeadingSign, culture, out var number) ? number : null;
        if (type == typeof(long))
            return long.TryParse(text, NumberStyles.AllowLeadingSign, culture, out var number) ? number : null;
        if (type == typeof(float))
            return float.TryParse(text, NumberStyles.Float, culture, out var number) ? number : null;
        return double.TryParse(text, NumberStyles.Float, culture, out var value) ? value : null;
    }

    private static object ParsePreset(Type type, string text)
    {
        var parts = text.Split(',');
        var changes = parts.Where(part => part.Contains('=', StringComparison.Ordinal)).ToArray();
        if (parts.Length - changes.Length > 1)
            throw NotAValue(type, text);
        var value = parts[0].Contains('=', StringComparison.Ordinal) ? Create(type, DefaultValue, text) : Create(type, parts[0], text);
        foreach (var change in changes)
        {
            var equals = change.IndexOf('=', StringComparison.Ordinal);
            var (name, setting) = (change[..equals], change[(equals + 1)..]);
            var property = Changeable(value.GetType()).FirstOrDefault(p => p.Name.Equals(name, StringComparison.OrdinalIgnoreCase))
                ?? throw new FormatException(
                    $"'{text}': {type.Name} has no property '{name}'. It has "
                    + $"{string.Join(", ", Changeable(value.GetType()).Select(p => p.Name))}.");
            value = value.GetType().GetMethod("<Clone>$")!.Invoke(value, null)!;
            Unwrapped(() => property.SetValue(value, Parse(property.PropertyType, setting)));
        }
        return value;
    }

    private static object Create(Type type, string head, string text)
    {
        var words = head.Split(':');
        if (words is [DefaultValue] && type.GetConstructor([]) is { } constructor)
            return constructor.Invoke(null);
        if (words.Length == 1 && Presets(type).FirstOrDefault(p => p.Name.Equals(head, StringComparison.OrdinalIgnoreCase)) is { } preset)
            return preset.GetValue(null)!;
        var factory = Factories(type).Where(method => method.Name.Equals(words[0], StringComparison.OrdinalIgnoreCase))
            .OrderBy(method => Given(method).Length).FirstOrDefault(method => Accepts(method, words.Length - 1));
        if (factory is not null)
            return Unwrapped(() => factory.Invoke(null, Arguments(factory, words[1..]))!);
        if (type.GetMethod("Parse", BindingFlags.Public | BindingFlags.Static, [typeof(string)]) is { } parse)
            return Unwrapped(() => parse.Invoke(null, [head])!);
        throw NotAValue(type, text);
    }

    private static bool Accepts(MethodInfo method, int count)
    {
        var given = Given(method);
        var fewest = given.Count(p => !p.IsOptional && !IsList(p.ParameterType));
        return count >= fewest && (count <= given.Length || (given is [.., var last] && IsList(last.ParameterType)))
            && (count > 0 || given.All(p => p.IsOptional));
    }

    private static object?[] Arguments(MethodInfo method, string[] words)
    {
        var given = Given(method);
        return [.. method.GetParameters().Select((parameter, i) =>
        {
            if (i >= given.Length)
                return parameter.DefaultValue;
            if (!IsList(parameter.ParameterType))
                return i < words.Length ? Parse(parameter.ParameterType, words[i]) : parameter.DefaultValue;
            var item = ItemOf(parameter.ParameterType);
            var list = (IList)Activator.CreateInstance(typeof(List<>).MakeGenericType(item))!;
            foreach (var word in words.Skip(i))
                list.Add(Parse(item, word));
            return (object?)list;
        })];
    }

    /// <summary>The parameters that text can give: the first ones, and a list only at the end, where it takes all words left.</summary>
    private static ParameterInfo[] Given(MethodInfo method)
    {
        var parameters = method.GetParameters();
        return [.. parameters.TakeWhile(
            (p, i) => IsScalar(p.ParameterType) || (IsList(p.ParameterType) && i == parameters.Length - 1))];
    }

    private static IEnumerable<PropertyInfo> Presets(Type type) => type.GetProperties(BindingFlags.Public | BindingFlags.Static)
        .Where(property => type.IsAssignableFrom(property.PropertyType));

    private static IEnumerable<MethodInfo> Factories(Type type) => type.GetMethods(BindingFlags.Public | BindingFlags.Static)
        .Where(method => !method.IsSpecialName && method.Name != "Parse" && type.IsAssignableFrom(method.ReturnType)
            && method.GetParameters().Skip(Given(method).Length).All(p => p.IsOptional));

    private static bool IsScalar(Type type)
    {
        type = Nullable.GetUnderlyingType(type) ?? type;
        return type.IsEnum || type == typeof(string) || type == typeof(bool) || type == typeof(int) || type == typeof(long)
            || type == typeof(float) || type == typeof(double);
    }

    private static bool IsList(Type type) =>
        type.IsGenericType && type.GetGenericTypeDefinition() == typeof(IReadOnlyList<>) && IsScalar(ItemOf(type));

    private static Type ItemOf(Type list) => list.GetGenericArguments()[0];

    private static void Unwrapped(Action action) => Unwrapped<object?>(() =>
    {
        action();
        return null;
    });

    /// <summary>The range errors of the library's own setters and factories are the message.</summary>
    private static T Unwrapped<T>(Func<T> action)
    {
        try
        {
            return action();
        }
        catch (TargetInvocationException e) when (e.InnerException is ArgumentException or FormatException or IOException
            or InvalidDataException)
        {
            throw new FormatException(e.InnerException.Message.Split(" (Parameter '")[0], e);
        }
    }

    private static FormatException NotAValue(Type type, string text) =>
        new($"'{text}' is not a value of {type.Name}. Use {string.Join(", ", Names(type))}.");
}
