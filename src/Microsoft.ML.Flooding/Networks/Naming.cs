using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Networks;

/// <summary>Modules gathered for the sake of their names; whoever made them applies them.</summary>
internal sealed class Naming : nn.Module
{
    public Naming(params (string Name, nn.Module Module)[] children) : base(nameof(Naming))
    {
        foreach (var (name, module) in children)
            this.Register(name, module);
    }

    protected override void RegisterComponents()
    {
    }
}
