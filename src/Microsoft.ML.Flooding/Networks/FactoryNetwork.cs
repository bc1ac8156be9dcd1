using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Networks;

/// <summary>A module that a function of the application creates.</summary>
internal sealed class FactoryNetwork : ModuleNetwork
{
    private readonly Func<nn.Module<Tensor, Tensor>> _factory;
    private readonly nn.Module<Tensor, Tensor> _module;

    public FactoryNetwork(string name, Func<int, int, nn.Module<Tensor, Tensor>> factory, ImageShape shape, int classes) : base(name)
    {
        _factory = () => factory(classes, shape.Channels)
            ?? throw new InvalidOperationException($"The factory of the architecture '{name}' returned null.");
        // The module's values are replaced: a model loads them, and Initialize draws them for a training run.
        _module = this.Register("module", GlobalGenerator.Seeded(0, CPU, _factory));
        // The application's module may have created its tensors in the current scope.
        foreach (var (_, tensor) in _module.State())
            tensor.DetachFromDisposeScope();
        Check(shape, classes);
    }

    /// <summary>Creates the module again for its initial values, with the global generator seeded from the given one.</summary>
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
