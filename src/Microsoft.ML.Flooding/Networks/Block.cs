using System.Globalization;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Networks;

/// <summary>A part of a network with its own parameters.</summary>
internal abstract class Block(string name) : nn.Module(name)
{
    public abstract T Apply<T>(IOperators<T> op, T x);

    // TorchSharp would register fields under the names of the fields; parts are registered under torchvision's names instead.
    protected override void RegisterComponents()
    {
    }
}

/// <summary>A sequence of blocks, named by their numbers.</summary>
internal sealed class Stack : Block
{
    private readonly Block[] _blocks;

    public Stack(IEnumerable<Block> blocks) : base(nameof(Stack))
    {
        _blocks = [.. blocks];
        for (var i = 0; i < _blocks.Length; i++)
            this.Register(i.ToString(CultureInfo.InvariantCulture), _blocks[i]);
    }

    public override T Apply<T>(IOperators<T> op, T x)
    {
        foreach (var block in _blocks)
            x = block.Apply(op, x);
        return x;
    }
}

/// <summary>A group of modules that only gives them their names. The module that creates the group applies them.</summary>
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

/// <summary>Registers the parts of a module.</summary>
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
