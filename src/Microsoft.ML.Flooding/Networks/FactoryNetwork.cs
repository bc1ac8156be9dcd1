using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Networks;

/// <summary>A module that a function of the application makes.</summary>
internal sealed class FactoryNetwork : ModuleNetwork
{
    private readonly Func<nn.Module<Tensor, Tensor>> _factory;
    private readonly nn.Module<Tensor, Tensor> _module;

    public FactoryNetwork(string name, Func<int, int, nn.Module<Tensor, Tensor>> factory, ImageShape shape, int classes) : base(name)
    {
        _factory = () => factory(classes, shape.Channels) ?? throw new InvalidOperationException($"The factory of the architecture {name} gave null.");
        // Its values do not count: those of a model are loaded, those of a run are drawn by Initialize.
        _module = this.Register("module", GlobalGenerator.Seeded(0, CPU, _factory));
        // Modules of an application may have made them in the scope that is open.
        foreach (var (_, tensor) in _module.State())
            tensor.DetachFromDisposeScope();
        Check(shape, classes);
    }

    /// <summary>Makes the module once more for its initial values, with the global generator in a state that follows from the given one.</summary>
    public override void Initialize(Generator generator)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var seed = empty(1, ScalarType.Int64).random_(0, int.MaxValue, generator).item<long>();
        using var anew = GlobalGenerator.Seeded(seed, CPU, _factory);
        _module.LoadState(anew.State().ToDictionary(entry => entry.Name, entry => entry.Tensor));
    }

    protected override Tensor Compute(Tensor x) => _module.call(x);
}
