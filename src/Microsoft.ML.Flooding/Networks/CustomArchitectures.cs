using System.Collections.Concurrent;
using System.Security.Cryptography;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Networks;

/// <summary>Architectures that are not built in: those that a factory makes, found by name, and TorchScript, which is its own description.</summary>
internal static class CustomArchitectures
{
    public const string FactoryPrefix = "factory:";
    public const string ScriptPrefix = "torchscript:";

    private static readonly ConcurrentDictionary<string, Family> Factories = new();

    public static Family Register(string name, Func<int, int, nn.Module<Tensor, Tensor>> factory)
    {
        var fullName = FactoryPrefix + name;
        return Factories[fullName] = new Family(fullName, (architecture, shape, classes) => new FactoryNetwork(fullName, factory, shape, classes));
    }

    public static Family? FindFactory(string fullName) => Factories.GetValueOrDefault(fullName);

    public static Family OfScript(byte[] script, Preprocessing? preprocessing)
    {
        var name = NameOf(script);
        return new Family(name, (architecture, shape, classes) => new ScriptNetwork(name, script, shape, classes))
        {
            Content = script,
            Preprocessing = preprocessing,
        };
    }

    /// <summary>Two scripts have one name exactly when they are the same.</summary>
    public static string NameOf(byte[] script) => ScriptPrefix + Convert.ToHexStringLower(SHA256.HashData(script));
}
