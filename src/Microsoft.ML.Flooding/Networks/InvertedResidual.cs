namespace Microsoft.ML.Flooding.Networks;

/// <summary>
/// Expand, filter each channel, squeeze and excite, project: the block of MobileNetV3 and EfficientNet, with a shortcut where
/// the shapes allow it (Sandler et al., CVPR 2018, arXiv:1801.04381).
/// </summary>
internal sealed class InvertedResidual : Block
{
    private readonly Stack _block;
    private readonly bool _shortcut;
    private readonly double _dropped;

    /// <param name="shape">What goes in and comes out.</param>
    /// <param name="activation">After the expansion and the filter.</param>
    /// <param name="excitation">Null for none.</param>
    /// <param name="norm">Of every batch norm.</param>
    /// <param name="dropped">The probability of stochastic depth.</param>
    public InvertedResidual(
        (int Inputs, int Expanded, int Outputs, int Kernel, int Stride) shape, Activation activation, SqueezeExcitation? excitation,
        (double Epsilon, double Momentum) norm, double dropped)
        : base(nameof(InvertedResidual))
    {
        var (inputs, expanded, outputs, kernel, stride) = shape;
        var blocks = new List<Block>();
        if (expanded != inputs)
            blocks.Add(new ConvNormActivation(inputs, expanded, 1, activation, 1, 1, norm.Epsilon, norm.Momentum));
        blocks.Add(new ConvNormActivation(expanded, expanded, kernel, activation, stride, expanded, norm.Epsilon, norm.Momentum));
        if (excitation is not null)
            blocks.Add(excitation);
        blocks.Add(new ConvNormActivation(expanded, outputs, 1, null, 1, 1, norm.Epsilon, norm.Momentum));
        _block = this.Register("block", new Stack(blocks));
        _shortcut = stride == 1 && inputs == outputs;
        _dropped = dropped;
    }

    public override T Apply<T>(IOperators<T> op, T x)
    {
        var y = _block.Apply(op, x);
        return _shortcut ? op.Add(op.StochasticDepth(_dropped, y), x) : y;
    }
}
