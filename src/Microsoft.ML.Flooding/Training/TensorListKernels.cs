using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Training;

/// <summary>
/// Operations on whole lists of tensors, each one native call. They are TorchScript functions, because TorchSharp has no bindings for
/// PyTorch's _foreach_ and _fused_ operators.
/// </summary>
internal static class TensorListKernels
{
    // TorchScript's own parser takes less than Python's: an empty list is a slice, dtype 6 is float32, and the last line must end. It
    // aborts the process, without an exception, on source that it cannot compile, so the source is a constant.
    // Gradients of channels_last weights can have another layout, and the fused kernels read raw memory: hence `aligned`.
    private const string Source = """
        def aligned(params: List[Tensor], grads: List[Tensor]) -> List[Tensor]:
            result = grads[:0]
            for p, g in zip(params, grads):
                if g.stride() != p.stride():
                    result.append(torch.empty_like(p).copy_(g))
                elif g.dtype != p.dtype:
                    result.append(g.to(p.dtype))
                else:
                    result.append(g)
            return result

        def norm(tensors: List[Tensor]) -> Tensor:
            return torch.linalg_vector_norm(torch.stack(torch._foreach_norm(tensors, 2, dtype=6)))

        def clip(grads: List[Tensor], limit: float):
            torch._foreach_mul_(grads, torch.clamp(limit / (norm(grads) + 1e-6), max=1.0))

        def sgd(params: List[Tensor], grads: List[Tensor], buffers: List[Tensor], lr: float, momentum: float, decay: float,
                nesterov: bool):
            g = aligned(params, grads)
            torch._fused_sgd_(params, g, buffers, weight_decay=decay, momentum=momentum, lr=lr, dampening=0.0, nesterov=nesterov,
                              maximize=False, is_first_step=False)

        def adam(params: List[Tensor], grads: List[Tensor], means: List[Tensor], squares: List[Tensor], step: Tensor, lr: float,
                 beta1: float, beta2: float, epsilon: float, decay: float, decoupled: bool):
            g = aligned(params, grads)
            step.add_(1)
            none = params[:0]
            steps = [step] * len(params)
            if decoupled:
                torch._fused_adamw_(params, g, means, squares, none, steps, lr=lr, beta1=beta1, beta2=beta2, weight_decay=decay,
                                    eps=epsilon, amsgrad=False, maximize=False)
            else:
                torch._fused_adam_(params, g, means, squares, none, steps, lr=lr, beta1=beta1, beta2=beta2, weight_decay=decay,
                                   eps=epsilon, amsgrad=False, maximize=False)

        def copy(targets: List[Tensor], sources: List[Tensor]):
            torch._foreach_copy_(targets, sources)

        def lerp(targets: List[Tensor], ends: List[Tensor], weight: float):
            torch._foreach_lerp_(targets, ends, weight)

        """;

    private static readonly Lazy<jit.CompilationUnit> Compiled = new(() => jit.compile(Source), LazyThreadSafetyMode.PublicationOnly);

    /// <summary>The Euclidean norm of all values together, a float32 scalar on the device.</summary>
    public static Tensor Norm(Tensor[] tensors) => (Tensor)Invoke("norm", [tensors]);

    /// <summary>Scales the gradients down to <paramref name="limit"/> if their norm is larger, as PyTorch's clip_grad_norm_.</summary>
    public static void ClipNorm(Tensor[] gradients, double limit)
    {
        using var maximum = limit.ToScalar();
        Invoke("clip", [gradients, maximum]);
    }

    /// <summary>Copies each source into the target at its position.</summary>
    public static void Copy(Tensor[] targets, Tensor[] sources) => Invoke("copy", [targets, sources]);

    /// <summary>target + weight * (end - target), in place.</summary>
    public static void Interpolate(Tensor[] targets, Tensor[] ends, double weight)
    {
        using var share = weight.ToScalar();
        Invoke("lerp", [targets, ends, share]);
    }

    /// <summary>A step of SGD.</summary>
    /// <param name="parameters">float32; updated in place.</param>
    /// <param name="gradients">In the order of the parameters.</param>
    /// <param name="buffers">The momentum buffers, updated in place; empty without momentum.</param>
    /// <param name="learningRate">The size of the step.</param>
    /// <param name="momentum">In [0, 1).</param>
    /// <param name="weightDecay">At least 0; added to the gradient.</param>
    /// <param name="nesterov">Whether the momentum is Nesterov's.</param>
    public static void StepSgd(
        Tensor[] parameters, Tensor[] gradients, Tensor[] buffers, double learningRate, double momentum, double weightDecay, bool nesterov)
    {
        using var rate = learningRate.ToScalar();
        using var kept = momentum.ToScalar();
        using var decay = weightDecay.ToScalar();
        Invoke("sgd", [parameters, gradients, buffers, rate, kept, decay, nesterov]);
    }

    /// <summary>A step of Adam or AdamW.</summary>
    /// <param name="parameters">float32; updated in place.</param>
    /// <param name="gradients">In the order of the parameters.</param>
    /// <param name="means">The running means of the gradients, updated in place.</param>
    /// <param name="squares">The running means of their squares, updated in place.</param>
    /// <param name="step">The number of steps, a float32 scalar on the device, updated in place.</param>
    /// <param name="learningRate">The size of the step.</param>
    /// <param name="beta1">The decay of the means.</param>
    /// <param name="beta2">The decay of the squares.</param>
    /// <param name="epsilon">Added to the denominator.</param>
    /// <param name="weightDecay">At least 0.</param>
    /// <param name="decoupled">Whether the decay is AdamW's, apart from the gradient; otherwise it is added to the gradient.</param>
    public static void StepAdam(
        Tensor[] parameters, Tensor[] gradients, Tensor[] means, Tensor[] squares, Tensor step, double learningRate, double beta1,
        double beta2, double epsilon, double weightDecay, bool decoupled)
    {
        using var rate = learningRate.ToScalar();
        using var first = beta1.ToScalar();
        using var second = beta2.ToScalar();
        using var smallest = epsilon.ToScalar();
        using var decay = weightDecay.ToScalar();
        Invoke("adam", [parameters, gradients, means, squares, step, rate, first, second, smallest, decay, decoupled]);
    }

    // Numbers are passed as Scalar: TorchSharp would box a double into a native scalar that the garbage collector can free before the call
    // reads it.
    private static object Invoke(string function, object[] arguments)
    {
        var result = Compiled.Value.invoke(function, arguments);
        GC.KeepAlive(arguments);
        return result;
    }
}
