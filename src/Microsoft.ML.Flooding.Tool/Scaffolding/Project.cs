using System.Reflection;
using System.Text;

namespace Mlflood.Scaffolding;

/// <summary>The files of a project that trains, evaluates and consumes a model.</summary>
internal static class Project
{
    /// <summary>The name in the templates.</summary>
    private const string TemplateName = "ImageClassifier";

    private const string OptionsMark = "            // OPTIONS";

    /// <summary>The files by their names.</summary>
    /// <param name="name">The name of the project and of its namespace: a C# identifier.</param>
    /// <param name="model">The model whose options the training code sets; null: the defaults.</param>
    /// <param name="isWeb">Whether the program is a web service.</param>
    public static IReadOnlyDictionary<string, string> Write(string name, FloodedImageClassificationTransformer? model, bool isWeb)
    {
        var options = string.Join(Environment.NewLine, TrainingCode.For(model).Select(line => "            " + line));
        return Templates("common").Concat(Templates(isWeb ? "web" : "console")).ToDictionary(
            template => template.Name.Replace(TemplateName, name, StringComparison.Ordinal),
            template => template.Text
                .Replace(OptionsMark, options, StringComparison.Ordinal)
                .Replace(TemplateName, name, StringComparison.Ordinal)
                .Replace("FLOODING_VERSION", BuildInformation.Of("FloodingVersion"), StringComparison.Ordinal)
                .Replace("LIBTORCH_VERSION", BuildInformation.Of("LibTorchVersion"), StringComparison.Ordinal));
    }

    /// <summary>A name as a C# identifier.</summary>
    public static string Identifier(string text)
    {
        var name = new StringBuilder();
        var isStart = true;
        foreach (var c in text)
        {
            if (!char.IsLetterOrDigit(c))
            {
                isStart = true;
                continue;
            }
            if (name.Length == 0 && char.IsDigit(c))
                name.Append('M');
            name.Append(isStart ? char.ToUpperInvariant(c) : c);
            isStart = false;
        }
        return name.Length > 0 ? name.ToString() : TemplateName;
    }

    private static IEnumerable<(string Name, string Text)> Templates(string folder)
    {
        var assembly = Assembly.GetExecutingAssembly();
        foreach (var resource in assembly.GetManifestResourceNames())
        {
            // The names of resources have the separators of the platform that built the tool.
            if (resource.Split('/', '\\') is not [var place, var name] || place != folder)
                continue;
            using var reader = new StreamReader(assembly.GetManifestResourceStream(resource)!);
            yield return (name, reader.ReadToEnd());
        }
    }
}
