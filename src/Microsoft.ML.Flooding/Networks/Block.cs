using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Networks;

/// <summary>A part of a network with parameters of its own.</summary>
internal abstract class Block(string name) : nn.Module(name)
{
    public abstract T Apply<T>(IOperators<T> op, T x);

    // TorchSharp registers fields under their own names; ours are registered under torchvision's.
    protected override void RegisterComponents()
    {
    }
}
