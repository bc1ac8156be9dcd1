using System.Globalization;
using System.Reflection;
using System.Text.Json;

namespace Mlflood.Scaffolding;

/// <summary>The options that a model was trained with, as C# that sets those that differ from the defaults.</summary>
internal static class TrainingCode
{
    /// <summary>The lines of an object initializer.</summary>
    public static IReadOnlyList<string> For(FloodedImageClassificationTransformer? model)
    {
        var defaults = new FloodedImageClassificationTrainer.Options();
        if (model is null)
            return [$"FloodLevel = {Float(defaults.FloodLevel)},"];
        var lines = new List<string>
        {
            $"FloodLevel = {Float(model.FloodLevel)},",
            $"Architecture = Architecture.Parse(\"{model.Architecture.Name}\"),",
        };
        var properties = typeof(FloodedImageClassificationTrainer.Options).GetProperties();
        foreach (var property in properties.OrderBy(p => p.Name, StringComparer.Ordinal))
        {
            if (property.Name is nameof(defaults.FloodLevel) or nameof(defaults.Architecture) or nameof(defaults.Precision)
                || property.SetMethod is not { IsPublic: true } || !model.History.Settings.TryGetValue(property.Name, out var text))
                continue;
            var standard = ValueOf(property.PropertyType, Json(property.GetValue(defaults)));
            if (ValueOf(property.PropertyType, text) is { } code && code != standard)
                lines.Add($"{property.Name} = {code},");
        }
        return lines;
    }

    /// <summary>A literal; null if the setting has no literal.</summary>
    private static string? ValueOf(Type type, string text)
    {
        type = Nullable.GetUnderlyingType(type) ?? type;
        if (text is "not set" or "null")
            return "null";
        if (type == typeof(int) || type == typeof(long) || type == typeof(bool))
            return text;
        if (type == typeof(float) || type == typeof(double))
        {
            var isNumber = double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out _);
            return isNumber ? text + (type == typeof(float) ? "f" : "") : null;
        }
        if (type.IsEnum)
            return Enum.IsDefined(type, text.Trim('"')) ? $"{type.Name}.{text.Trim('"')}" : null;
        return text.StartsWith('{') && type.GetConstructor([]) is not null ? Initializer(type, text) : null;
    }

    /// <summary>A record with public setters, such as Augmentation.</summary>
    private static string? Initializer(Type type, string json)
    {
        using var document = JsonDocument.Parse(json);
        var settings = new List<string>();
        foreach (var member in document.RootElement.EnumerateObject())
        {
            if (type.GetProperty(member.Name, BindingFlags.Public | BindingFlags.Instance) is not { SetMethod.IsPublic: true } property)
                continue;
            var code = property.PropertyType == typeof(ValidationMetric)
                ? $"ValidationMetric.{NameOf(member.Value)}"
                : ValueOf(property.PropertyType, member.Value.GetRawText());
            if (code is null)
                return null;
            if (code is not ("0" or "null"))
                settings.Add($"{member.Name} = {code}");
        }
        return $"new {type.Name} {{ {string.Join(", ", settings)} }}";
    }

    /// <summary>A history has the name of a metric, an option the metric itself.</summary>
    private static string NameOf(JsonElement metric) =>
        (metric.ValueKind == JsonValueKind.String ? metric : metric.GetProperty(nameof(ValidationMetric.Name))).GetString()!;

    private static string Json(object? value) => value switch
    {
        null => "null",
        Enum => value.ToString()!,
        _ => JsonSerializer.Serialize(value, value.GetType()),
    };

    private static string Float(float value) => value.ToString(CultureInfo.InvariantCulture) + "f";
}
