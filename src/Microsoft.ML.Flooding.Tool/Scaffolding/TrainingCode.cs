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
            $"ImageWidth = {model.ImageWidth},",
            $"ImageHeight = {model.ImageHeight},",
        };
        if (model.OnInvalidImage != defaults.OnInvalidImage)
            lines.Add($"OnInvalidImage = {nameof(OnInvalidImage)}.{model.OnInvalidImage},");
        if (model.PretrainedWeights is not null)
            lines.Add("// The model started from pretrained weights: set PretrainedWeights to their name or file.");
        // Cross-validation chose the options of such a model, and does it again.
        if (model.History.HeadTrial is not null)
            return lines;
        var properties = typeof(FloodedImageClassificationTrainer.Options).GetProperties();
        foreach (var property in properties.OrderBy(p => p.Name, StringComparer.Ordinal))
        {
            if (property.Name is nameof(defaults.FloodLevel) or nameof(defaults.Architecture) or nameof(defaults.Precision)
                || property.SetMethod is not { IsPublic: true } || !model.History.Settings.TryGetValue(property.Name, out var text))
                continue;
            var code = CodeOf(property.PropertyType, text);
            if (code is null)
                lines.Add($"// {property.Name} was {text}.");
            else if (code != CodeOf(property.PropertyType, TextOf(property.GetValue(defaults))))
                lines.Add($"{property.Name} = {code},");
        }
        return lines;
    }

    /// <summary>The C# expression of a setting; null if there is none, as for a function of the user's.</summary>
    private static string? CodeOf(Type type, string text)
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
        if (type == typeof(FloodingObjective))
            return Objective(text);
        if (type == typeof(LearningRateSchedule))
            return Schedule(text);
        return text.StartsWith('{') && type.GetConstructor([]) is not null ? Initializer(type, text) : null;
    }

    /// <summary>An objective by its description, such as "CrossFitted(weight: 0.7, folds: 2, without suspects)".</summary>
    private static string? Objective(string text)
    {
        if (text.StartsWith(nameof(FloodingObjective.FromFunction), StringComparison.Ordinal)
            || text.Contains(" or ", StringComparison.Ordinal))
            return null;
        var call = text.Replace("without suspects", "leaveOutSuspects: true", StringComparison.Ordinal)
            .Replace("by frequency", "", StringComparison.Ordinal);
        // The levels of classes are float.
        if (call.StartsWith(nameof(FloodingObjective.ClassWise), StringComparison.Ordinal))
            call = call.Replace(",", "f,", StringComparison.Ordinal).Replace(")", "f)", StringComparison.Ordinal)
                .Replace("(f)", "()", StringComparison.Ordinal);
        return $"{nameof(FloodingObjective)}.{call}";
    }

    /// <summary>A schedule by the name of its type and its members.</summary>
    private static string? Schedule(string text)
    {
        const string Suffix = "Schedule";
        var start = text.IndexOf('{', StringComparison.Ordinal);
        var name = text[..Math.Max(0, start)];
        if (!name.EndsWith(Suffix, StringComparison.Ordinal))
            return null;
        using var document = JsonDocument.Parse(text[start..]);
        var members = document.RootElement;
        var code = (name = name[..^Suffix.Length]) switch
        {
            nameof(LearningRateSchedule.Constant) or nameof(LearningRateSchedule.Cosine) => name,
            nameof(LearningRateSchedule.Step) => $"Step({members.GetProperty("Gamma").GetRawText()}"
                + string.Concat(members.GetProperty("Milestones").EnumerateArray().Select(m => ", " + m.GetRawText())) + ")",
            _ => null,
        };
        var warmUp = members.GetProperty(nameof(LearningRateSchedule.WarmUpEpochs)).GetRawText();
        return code is null
            ? null
            : $"{nameof(LearningRateSchedule)}.{code}" + (warmUp == "0" ? "" : $" with {{ WarmUpEpochs = {warmUp} }}");
    }

    /// <summary>A record with public setters, such as Augmentation.</summary>
    private static string? Initializer(Type type, string json)
    {
        using var document = JsonDocument.Parse(json);
        using var defaults = JsonDocument.Parse(TextOf(Activator.CreateInstance(type)));
        var settings = new List<string>();
        foreach (var member in document.RootElement.EnumerateObject())
        {
            var property = type.GetProperty(member.Name, BindingFlags.Public | BindingFlags.Instance);
            var isDefault = defaults.RootElement.TryGetProperty(member.Name, out var standard)
                && member.Value.GetRawText() == standard.GetRawText();
            if (property?.SetMethod is not { IsPublic: true })
            {
                if (!isDefault && type == typeof(WeightAveraging))
                    return $"{nameof(WeightAveraging)}.{nameof(WeightAveraging.None)}";
                continue;
            }
            if (property.PropertyType == typeof(ValidationMetric))
            {
                if (typeof(ValidationMetric).GetProperty(NameOf(member.Value)) is not { } metric)
                    return null;
                if (metric.Name != NameOf(standard))
                    settings.Add($"{member.Name} = {nameof(ValidationMetric)}.{metric.Name}");
                continue;
            }
            if (CodeOf(property.PropertyType, member.Value.GetRawText()) is not { } code)
                return null;
            if (!isDefault)
                settings.Add($"{member.Name} = {code}");
        }
        return settings.Count == 0 ? "new()" : $"new() {{ {string.Join(", ", settings)} }}";
    }

    /// <summary>A history has the name of a metric, an option the metric itself.</summary>
    private static string NameOf(JsonElement metric) =>
        (metric.ValueKind == JsonValueKind.String ? metric : metric.GetProperty(nameof(ValidationMetric.Name))).GetString()!;

    /// <summary>A value as a history has it.</summary>
    private static string TextOf(object? value) => value switch
    {
        null => "null",
        Enum or FloodingObjective => value.ToString()!,
        LearningRateSchedule => value.GetType().Name + JsonSerializer.Serialize(value, value.GetType()),
        _ => JsonSerializer.Serialize(value, value.GetType()),
    };

    private static string Float(float value) => value.ToString(CultureInfo.InvariantCulture) + "f";
}
