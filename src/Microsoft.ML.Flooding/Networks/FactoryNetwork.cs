using Microsoft.ML.Flooding.Images;
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
        _module = this.Register("module", _factory());
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
        var before = random.get_rng_state();
        try
        {
            manual_seed(seed);
            using var anew = _factory();
            _module.LoadState(anew.State().ToDictionary(entry => entry.Name, entry => entry.Tensor));
        }
        finally
        {
            random.set_rng_state(before);
        }
    }

    protected override Tensor Compute(Tensor x) => _module.call(x);
}
