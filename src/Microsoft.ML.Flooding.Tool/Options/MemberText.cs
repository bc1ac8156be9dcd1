using System.Reflection;
using System.Text.RegularExpressions;
using System.Xml.Linq;

namespace Mlflood.Options;

/// <summary>The library's own documentation of a member, as a help text.</summary>
internal static partial class MemberText
{
    private static readonly Lazy<Dictionary<string, XElement>> Members = new(() =>
        XDocument.Load(Path.ChangeExtension(typeof(FloodingCatalog).Assembly.Location, ".xml")).Descendants("member")
            .ToDictionary(member => member.Attribute("name")!.Value));

    /// <summary>The first sentence of a property's summary, and its default.</summary>
    public static string Of(PropertyInfo property)
    {
        var name = $"P:{property.DeclaringType!.FullName!.Replace('+', '.')}.{property.Name}";
        if (!Members.Value.TryGetValue(name, out var member) || member.Element("summary") is not { } summary)
            return "";
        var sentences = SentenceEnd().Split(Whitespace().Replace(string.Concat(summary.Nodes().Select(Text)), " ").Trim());
        var last = sentences.FirstOrDefault(sentence => sentence.StartsWith("Default", StringComparison.Ordinal));
        return last is null || last == sentences[0] ? sentences[0] : $"{sentences[0]} {last}";
    }

    private static string Text(XNode node) => node switch
    {
        XText text => text.Value,
        XElement element when element.Attribute("cref") is { } reference => ShortName(reference.Value),
        XElement element => string.Concat(element.Nodes().Select(Text)),
        _ => "",
    };

    private static string ShortName(string reference) => reference.Split('(')[0].Split('.')[^1];

    [GeneratedRegex(@"\s+")]
    private static partial Regex Whitespace();

    [GeneratedRegex(@"(?<=\.)\s+(?=[A-Z])")]
    private static partial Regex SentenceEnd();
}
