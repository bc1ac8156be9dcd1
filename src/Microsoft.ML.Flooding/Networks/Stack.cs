using System.Globalization;

namespace Microsoft.ML.Flooding.Networks;

/// <summary>Blocks one after another, named by their number.</summary>
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
