using System.Text.RegularExpressions;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.CSharp.Syntax;

namespace Microsoft.ML.Flooding.Tests.Documentation;

/// <summary>
/// The messages that docs/troubleshooting.md quotes. The page marks them as bold code and writes "..." for their variable parts.
/// </summary>
[TestClass]
public sealed partial class TroubleshootingTests
{
    private const string Variable = "...";

    private static readonly IReadOnlyList<string> Messages =
        [.. LibraryStructure.ReadSource().Values.SelectMany(MessagesOf).Distinct()];

    public static IEnumerable<object[]> Quoted =>
        from match in Quote().Matches(File.ReadAllText(Path.Combine(AppContext.BaseDirectory, "Fixtures", "docs", "troubleshooting.md")))
        select new object[] { Whitespace().Replace(match.Groups["message"].Value, " ") };

    [TestMethod]
    [DynamicData(nameof(Quoted))]
    public void A_quoted_message_is_one_of_the_library(string message) => Assert.IsTrue(
        Messages.Any(known => known.Contains(message, StringComparison.Ordinal)),
        $"No message of the library contains '{message}'. Correct docs/troubleshooting.md.");

    [TestMethod]
    [DataRow("Fail($\"Column '{name}' has {n} values. \" + $\"Set {nameof(options.Width)}.\");", "Column '...' has ... values. Set Width.")]
    [DataRow("log(Invariant($\"The level {b} \") + \"is high.\");", "The level ... is high.")]
    [DataRow("const string Set = \"validation set\"; log($\"The {Set} is {(x ? \"a\" : \"b\")}.\");", "The validation set is ....")]
    public void A_message_is_read_from_its_expression(string source, string message) =>
        CollectionAssert.Contains(MessagesOf(source).ToArray(), message);

    /// <summary>The text of each outermost string expression of a source file.</summary>
    private static IEnumerable<string> MessagesOf(string source)
    {
        var root = CSharpSyntaxTree.ParseText(source).GetRoot();
        var constants = root.DescendantNodes().OfType<VariableDeclaratorSyntax>()
            .Where(constant => constant.Initializer?.Value.IsKind(SyntaxKind.StringLiteralExpression) == true)
            .ToLookup(
                constant => constant.Identifier.ValueText,
                constant => ((LiteralExpressionSyntax)constant.Initializer!.Value).Token.ValueText);
        return root.DescendantNodes().OfType<ExpressionSyntax>()
            .Where(expression => IsText(expression) && !expression.Ancestors().TakeWhile(node => node is ExpressionSyntax).Any(IsText))
            .Select(expression => TextOf(expression, constants));
    }

    private static bool IsText(SyntaxNode node) =>
        node is InterpolatedStringExpressionSyntax
        || node.IsKind(SyntaxKind.StringLiteralExpression)
        || (node is BinaryExpressionSyntax sum && sum.IsKind(SyntaxKind.AddExpression) && (IsText(sum.Left) || IsText(sum.Right)))
        || (node is InvocationExpressionSyntax { ArgumentList.Arguments: [{ Expression: InterpolatedStringExpressionSyntax }] });

    private static string TextOf(ExpressionSyntax expression, ILookup<string, string> constants) => expression switch
    {
        LiteralExpressionSyntax literal when literal.IsKind(SyntaxKind.StringLiteralExpression) => literal.Token.ValueText,
        BinaryExpressionSyntax sum when IsText(sum) => TextOf(sum.Left, constants) + TextOf(sum.Right, constants),
        IdentifierNameSyntax { Identifier.ValueText: var name } when constants.Contains(name) => constants[name].First(),
        // Such as FormattableString.Invariant.
        InvocationExpressionSyntax { ArgumentList.Arguments: [{ Expression: InterpolatedStringExpressionSyntax text }] } =>
            TextOf(text, constants),
        InvocationExpressionSyntax
        {
            Expression: IdentifierNameSyntax { Identifier.ValueText: "nameof" }, ArgumentList.Arguments: [var named],
        } => named.Expression.DescendantNodesAndSelf().OfType<SimpleNameSyntax>().Last().Identifier.ValueText,
        InterpolatedStringExpressionSyntax interpolated => string.Concat(interpolated.Contents.Select(part => part switch
        {
            InterpolatedStringTextSyntax text => text.TextToken.ValueText,
            InterpolationSyntax hole => TextOf(hole.Expression, constants),
            _ => Variable,
        })),
        _ => Variable,
    };

    [GeneratedRegex(@"\*\*`(?<message>[^`]+)`\*\*")]
    private static partial Regex Quote();

    [GeneratedRegex(@"\s+")]
    private static partial Regex Whitespace();
}
