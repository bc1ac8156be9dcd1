using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Networks;

/// <summary>An image classifier: from images [N, C, H, W] to logits [N, classes].</summary>
internal abstract class Network(string name) : nn.Module<Tensor, Tensor>(name)
{
    /// <summary>The last layer, from features to logits.</summary>
    public abstract Linear Head { get; }

    /// <summary>Whether <see cref="Logits"/> accepts other operators than <see cref="TensorOperators"/>.</summary>
    public virtual bool IsInterpretable => true;

    /// <summary>
    /// The content that a model file needs in addition to the architecture's name and the weights; null for most networks.
    /// </summary>
    public virtual byte[]? Content => null;

    /// <summary>The CPU generator that dropout and stochastic depth draw from in training. If null, the global generator.</summary>
    public Generator? DropoutGenerator { get; set; }

    /// <summary>All modules of the network, including itself.</summary>
    public virtual IEnumerable<nn.Module> Parts => modules();

    /// <summary>[N, C, H, W] to [N, F].</summary>
    public abstract T Features<T>(IOperators<T> op, T x);

    /// <summary>[N, C, H, W] to [N, classes].</summary>
    public virtual T Logits<T>(IOperators<T> op, T x) => op.Linear(Head, Features(op, x));

    public override Tensor forward(Tensor x) => Logits(new TensorOperators(training, DropoutGenerator), x);

    /// <summary>Draws all initial values, module by module in the order of registration.</summary>
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

    /// <summary>Draws the initial values of one module, without its children. PyTorch's defaults unless overridden.</summary>
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

    // TorchSharp would register fields under the names of the fields; parts are registered under torchvision's names instead.
    protected override void RegisterComponents()
    {
    }
}
