using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace Microsoft.ML.Flooding.Tests.Documentation;

/// <summary>Which folder of the library uses which, as the compiler resolves the names in its source.</summary>
internal static class LibraryStructure
{
    /// <summary>The name of the top folder, which has no name of its own.</summary>
    public const string Top = "(top)";

    private static readonly string SourceFolder = Path.Combine(AppContext.BaseDirectory, "Fixtures", "src");

    // Names in documentation comments are not dependencies.
    private static readonly CSharpParseOptions ParseOptions =
        CSharpParseOptions.Default.WithLanguageVersion(LanguageVersion.Latest).WithDocumentationMode(DocumentationMode.None);

    /// <summary>The source files of the library, by their path within it, with forward slashes.</summary>
    public static IReadOnlyDictionary<string, string> ReadSource() =>
        Directory.EnumerateFiles(SourceFolder, "*.cs", SearchOption.AllDirectories)
            .ToDictionary(path => Path.GetRelativePath(SourceFolder, path).Replace('\\', '/'), File.ReadAllText);

    private static readonly Lazy<CSharpCompilation> Library = new(() => Compile(ReadSource()));

    private static readonly Lazy<IReadOnlyDictionary<(string From, string To), string>> LibraryArrows =
        new(() => FindArrows(Library.Value, Library.Value.SyntaxTrees));

    /// <summary>Every use of a type or member of another folder of the library: from, to, and one place where it occurs.</summary>
    public static IReadOnlyDictionary<(string From, string To), string> FindArrows() => LibraryArrows.Value;

    /// <summary>The arrows of the library with one more file.</summary>
    /// <param name="path">The path of the file in the library.</param>
    /// <param name="text">The content of the file.</param>
    public static IReadOnlyDictionary<(string From, string To), string> FindArrowsWith(string path, string text)
    {
        var tree = CSharpSyntaxTree.ParseText(text, ParseOptions, path);
        var arrows = FindArrows().ToDictionary();
        foreach (var (arrow, place) in FindArrows(Library.Value.AddSyntaxTrees(tree), [tree]))
            arrows.TryAdd(arrow, place);
        return arrows;
    }

    private static CSharpCompilation Compile(IReadOnlyDictionary<string, string> source)
    {
        var trees = source.Select(file => CSharpSyntaxTree.ParseText(file.Value, ParseOptions, file.Key))
            .Append(CSharpSyntaxTree.ParseText(ImplicitUsings, ParseOptions, "obj/ImplicitUsings.cs"));
        var references = ((string)AppContext.GetData("TRUSTED_PLATFORM_ASSEMBLIES")!).Split(Path.PathSeparator)
            .Where(path => Path.GetFileName(path) != "Microsoft.ML.Flooding.dll")
            .Select(path => MetadataReference.CreateFromFile(path));
        return CSharpCompilation.Create(
            "structure", trees, references, new CSharpCompilationOptions(OutputKind.DynamicallyLinkedLibrary));
    }

    private static Dictionary<(string From, string To), string> FindArrows(CSharpCompilation compilation, IEnumerable<SyntaxTree> trees)
    {
        var arrows = new Dictionary<(string, string), string>();
        foreach (var (arrow, place) in trees.AsParallel().AsOrdered().SelectMany(tree => UsesIn(tree, compilation.GetSemanticModel(tree))))
            arrows.TryAdd(arrow, place);
        return arrows;
    }

    private static IEnumerable<((string From, string To) Arrow, string Place)> UsesIn(SyntaxTree tree, SemanticModel model)
    {
        foreach (var name in tree.GetRoot().DescendantNodes().OfType<SimpleNameSyntax>())
        {
            if (FileOf(model.GetSymbolInfo(name).Symbol) is not { } file || FolderOf(file) == FolderOf(tree.FilePath))
                continue;
            var line = name.GetLocation().GetLineSpan().StartLinePosition.Line + 1;
            yield return ((FolderOf(tree.FilePath), FolderOf(file)), $"{tree.FilePath}({line}) uses '{name}' of {file}");
        }
    }

    /// <summary>The arrows that do not follow from others: the smallest graph with the same reachability.</summary>
    /// <exception cref="InvalidOperationException">The arrows run in a circle; the message shows it.</exception>
    public static IReadOnlyList<(string From, string To)> Reduce(IReadOnlyDictionary<(string From, string To), string> arrows)
    {
        var targets = arrows.Keys.ToLookup(arrow => arrow.From, arrow => arrow.To);
        foreach (var folder in arrows.Keys.Select(arrow => arrow.From).Distinct())
        {
            if (FindPath(targets, folder, folder) is { } circle)
            {
                var uses = circle.Zip(circle.Skip(1), (from, to) => arrows[(from, to)]);
                throw new InvalidOperationException("Folders use each other in a circle:\n" + string.Join('\n', uses));
            }
        }
        return [.. arrows.Keys
            .Where(arrow => !targets[arrow.From].Any(next => next != arrow.To && FindPath(targets, next, arrow.To) is not null))
            .OrderBy(arrow => arrow.From, StringComparer.Ordinal).ThenBy(arrow => arrow.To, StringComparer.Ordinal)];
    }

    private static List<string>? FindPath(ILookup<string, string> targets, string from, string to)
    {
        var before = new Dictionary<string, string>();
        var waiting = new Queue<string>([from]);
        while (waiting.TryDequeue(out var folder))
        {
            foreach (var next in targets[folder].Where(next => before.TryAdd(next, folder)))
            {
                if (next != to)
                {
                    waiting.Enqueue(next);
                    continue;
                }
                List<string> path = [to];
                do
                    path.Insert(0, before[path[0]]);
                while (path[0] != from);
                return path;
            }
        }
        return null;
    }

    private static string? FileOf(ISymbol? symbol)
    {
        var type = symbol switch
        {
            null or INamespaceSymbol => null,
            INamedTypeSymbol named => named,
            _ => symbol.ContainingType,
        };
        while (type?.ContainingType is { } outer)
            type = outer;
        return type?.OriginalDefinition.DeclaringSyntaxReferences.FirstOrDefault()?.SyntaxTree.FilePath;
    }

    private static string FolderOf(string path) => path.IndexOf('/') is > 0 and var end ? path[..end] : Top;

    private const string ImplicitUsings = """
        global using System;
        global using System.Collections.Generic;
        global using System.IO;
        global using System.Linq;
        global using System.Net.Http;
        global using System.Threading;
        global using System.Threading.Tasks;
        """;
}
