using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Networks;

/// <summary>Giving a module its parts.</summary>
internal static class Registration
{
    public static TModule Register<TModule>(this nn.Module parent, string name, TModule child) where TModule : nn.Module
    {
        parent.register_module(name, child);
        return child;
    }

    public static void Register(this nn.Module parent, string name, Parameter parameter) =>
        parent.register_parameter(name, (Parameter)parameter.DetachFromDisposeScope());
}
