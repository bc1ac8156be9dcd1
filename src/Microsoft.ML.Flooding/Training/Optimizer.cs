namespace Microsoft.ML.Flooding;

/// <summary>
/// The rule that turns gradients into weight updates. Each computes what PyTorch's optimizer of the same name computes.
/// </summary>
public enum Optimizer
{
    /// <summary>
    /// Stochastic gradient descent with <see cref="TrainingOptions.Momentum"/>; with Nesterov momentum if
    /// <see cref="TrainingOptions.Nesterov"/> is set.
    /// </summary>
    Sgd,

    /// <summary>Adam (Kingma and Ba, 2015), betas 0.9 and 0.999, epsilon 1e-8; weight decay is added to the gradient.</summary>
    Adam,

    /// <summary>AdamW (Loshchilov and Hutter, 2019): Adam with weight decay decoupled from the gradient.</summary>
    AdamW,
}
