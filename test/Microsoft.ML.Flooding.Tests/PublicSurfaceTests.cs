using System.Reflection;
using System.Xml.Linq;

namespace Microsoft.ML.Flooding.Tests;

[TestClass]
public sealed class PublicSurfaceTests
{
    private static readonly Assembly Library = typeof(FloodingCatalog).Assembly;

    [TestMethod]
    public void Every_public_type_is_in_ML_NETs_namespace_or_ours()
    {
        var namespaces = Library.GetExportedTypes().Select(t => t.Namespace).Distinct().Order().ToArray();
        CollectionAssert.AreEqual(new[] { "Microsoft.ML", "Microsoft.ML.Flooding" }, namespaces);
    }

    /// <summary>The compiler requires a comment, but not that it has content.</summary>
    [TestMethod]
    public void No_comment_is_empty()
    {
        var members = XDocument.Load(Path.ChangeExtension(Library.Location, ".xml")).Descendants("member").ToArray();
        Assert.IsNotEmpty(members);
        foreach (var text in members.SelectMany(m => m.Elements()).Where(e => e.Name.LocalName is "summary" or "param" or "exception"))
            Assert.IsTrue(text.Value.Trim().Length > 0 || text.HasElements, $"{text.Parent!.Attribute("name")!.Value}: {text}");
    }
}
