using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Networks;

/// <summary>An image classifier: [N, C, H, W] to the logits [N, classes].</summary>
internal abstract class Network(string name) : nn.Module<Tensor, Tensor>(name)
{
    /// <summary>The last layer, from features to logits.</summary>
    public abstract Linear Head { get; }

    /// <summary>Whether <see cref="Logits"/> takes interpreters other than <see cref="TensorOperators"/>.</summary>
    public virtual bool IsInterpretable => true;

    /// <summary>What a model file has to hold beside the name of the architecture and the weights; null for most.</summary>
    public virtual byte[]? Content => null;

    /// <summary>What dropout and stochastic depth draw from in training, a generator of the CPU; the global one when null.</summary>
    public Generator? DropoutGenerator { get; set; }

    /// <summary>The modules that it is made of, itself among them.</summary>
    public virtual IEnumerable<nn.Module> Parts => modules();

    /// <summary>[N, C, H, W] to [N, F].</summary>
    public abstract T Features<T>(IOperators<T> op, T x);

    /// <summary>[N, C, H, W] to [N, classes].</summary>
    public virtual T Logits<T>(IOperators<T> op, T x) => op.Linear(Head, Features(op, x));

    public override Tensor forward(Tensor x) => Logits(new TensorOperators(training, DropoutGenerator), x);

    /// <summary>Draws every initial value anew, module by module in the order of registration.</summary>
    public virtual void Initialize(Generator generator)
    {
        using var _ = no_grad();
        Initialize(this, generator);

        void Initialize(nn.Module module, Generator generator)
        {
            InitializeModule(module, generator);
            foreach (var (_, child) in module.named_children())
                Initialize(child, generator);
        }
    }

    /// <summary>Draws the initial values of one module, its children not among them. PyTorch's defaults unless overridden.</summary>
    protected virtual void InitializeModule(nn.Module module, Generator generator)
    {
        switch (module)
        {
            case Conv2d conv:
                Initialization.Default(conv.weight, conv.bias, generator);
                break;
            case Linear linear:
                Initialization.Default(linear.weight, linear.bias, generator);
                break;
        }
    }

    // TorchSharp registers fields under their own names; ours are registered under torchvision's.
    protected override void RegisterComponents()
    {
    }
}
