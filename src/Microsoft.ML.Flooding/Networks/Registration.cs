using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Networks;

/// <summary>Naming a part of a module where it is made.</summary>
internal static class Registration
{
    public static TModule Register<TModule>(this nn.Module parent, string name, TModule child) where TModule : nn.Module
    {
        parent.register_module(name, child);
        return child;
    }
}
