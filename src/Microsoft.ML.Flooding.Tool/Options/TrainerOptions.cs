using System.CommandLine;
using System.Reflection;
using System.Text;

namespace Mlflood.Options;

/// <summary>
/// The command-line options of the trainer: one for each property of its Options class that text can express. Names, defaults and help are
/// the library's.
/// </summary>
internal sealed class TrainerOptions
{
    /// <summary>Properties without an option, and what the command line has instead.</summary>
    public static readonly IReadOnlyDictionary<string, string> Replaced = new Dictionary<string, string>
    {
        [nameof(TrainingOptions.MetricsCallback)] = "the progress display",
        [nameof(TrainingOptions.Callbacks)] = "the progress display",
        [nameof(FloodedImageClassificationTrainer.Options.Cluster)] = "--cluster",
        [nameof(TrainingOptions.StopToken)] = "Ctrl-C",
        [nameof(FloodedImageClassificationTrainer.Options.ValidationSet)] = "--validation",
    };

    private readonly List<(PropertyInfo Property, Option Option)> _options = [];

    public TrainerOptions()
    {
        var properties = typeof(FloodedImageClassificationTrainer.Options).GetProperties(BindingFlags.Public | BindingFlags.Instance)
            .Where(property => property.SetMethod is { IsPublic: true } && !Replaced.ContainsKey(property.Name));
        foreach (var property in properties.OrderBy(property => property.Name, StringComparer.Ordinal))
            _options.Add((property, Create(property)));
    }

    public IEnumerable<Option> All => _options.Select(entry => entry.Option);

    /// <summary>The option of a property, such as "--flood-level".</summary>
    public Option this[string property] => _options.Single(entry => entry.Property.Name == property).Option;

    /// <summary>The name of a property's option.</summary>
    public static string NameOf(string property)
    {
        var name = new StringBuilder("--");
        for (var i = 0; i < property.Length; i++)
        {
            if (i > 0 && char.IsUpper(property[i]))
                name.Append('-');
            name.Append(char.ToLowerInvariant(property[i]));
        }
        return name.ToString();
    }

    /// <summary>The trainer's options: those on the command line, and the library's defaults.</summary>
    public FloodedImageClassificationTrainer.Options Read(ParseResult result)
    {
        var options = new FloodedImageClassificationTrainer.Options();
        foreach (var (property, option) in _options)
        {
            if (result.GetResult(option) is { Implicit: false })
            {
                property.SetValue(
                    options, option is Option<bool> flag ? result.GetValue(flag) : result.GetValue((Option<Parsed>)option)!.Value);
            }
        }
        return options;
    }

    private static Option Create(PropertyInfo property)
    {
        var type = property.PropertyType;
        var names = ValueText.Names(type).ToArray();
        if (names.Length > 0 && new NullabilityInfoContext().Create(property).WriteState == NullabilityState.Nullable)
            names = [.. names, "null"];
        var description = MemberText.Of(property);
        if (type == typeof(bool))
            return new Option<bool>(NameOf(property.Name)) { Description = description };
        if (names.Length > 0)
            description += $" Values: {string.Join(", ", names)}.";
        if (ValueText.Changeable(type).Select(p => p.Name).ToArray() is { Length: > 0 } changes)
            description += $" Change {string.Join(", ", changes)} with ',PROPERTY=VALUE'.";
        var option = new Option<Parsed>(NameOf(property.Name))
        {
            Description = description,
            HelpName = HelpNameOf(type),
            CustomParser = argument =>
            {
                try
                {
                    return new Parsed(ValueText.Parse(type, argument.Tokens.Single().Value));
                }
                catch (FormatException e)
                {
                    argument.AddError($"{NameOf(property.Name)}: {e.Message}");
                    return null;
                }
            },
            Arity = ArgumentArity.ExactlyOne,
        };
        option.CompletionSources.Add([.. names.Select(name => name.Split(':')[0])]);
        return option;
    }

    private static string HelpNameOf(Type type) => (Nullable.GetUnderlyingType(type) ?? type) switch
    {
        var t when t == typeof(int) || t == typeof(long) => "N",
        var t when t == typeof(float) || t == typeof(double) => "NUMBER",
        var t when t == typeof(string) => "TEXT",
        _ => "VALUE",
    };

    /// <summary>A value of the type of its property, which may be null.</summary>
    private sealed record Parsed(object? Value);
}
