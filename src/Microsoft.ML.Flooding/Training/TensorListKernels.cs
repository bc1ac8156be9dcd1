using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Training;

/// <summary>
/// TorchScript functions over lists of tensors: one call a step where TorchSharp's bindings need one a parameter. The source is a constant,
/// since TorchScript aborts the process on source that it cannot compile.
/// </summary>
internal static class TensorListKernels
{
    // The dialect is that of TorchScript's own parser, poorer than Python's: an empty list is a slice, dtype 6
    // is float32, and the last line must end.
    // Gradients of channels_last weights can arrive in another layout, and the fused kernels walk raw memory: hence `aligned`.
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

        def norm(grads: List[Tensor]) -> Tensor:
            return torch.linalg_vector_norm(torch.stack(torch._foreach_norm(grads, 2, dtype=6)))

        def clip(grads: List[Tensor], limit: float):
            torch._foreach_mul_(grads, torch.clamp(limit / (norm(grads) + 1e-6), max=1.0))

        def sgd(params: List[Tensor], grads: List[Tensor], buffers: List[Tensor], lr: float, momentum: float, decay: float, nesterov: bool):
            g = aligned(params, grads)
            torch._fused_sgd_(params, g, buffers, weight_decay=decay, momentum=momentum, lr=lr, dampening=0.0, nesterov=nesterov, maximize=False, is_first_step=False)

        def adam(params: List[Tensor], grads: List[Tensor], means: List[Tensor], squares: List[Tensor], step: Tensor, lr: float, beta1: float, beta2: float, epsilon: float, decay: float, decoupled: bool):
            g = aligned(params, grads)
            step.add_(1)
            none = params[:0]
            steps = [step] * len(params)
            if decoupled:
                torch._fused_adamw_(params, g, means, squares, none, steps, lr=lr, beta1=beta1, beta2=beta2, weight_decay=decay, eps=epsilon, amsgrad=False, maximize=False)
            else:
                torch._fused_adam_(params, g, means, squares, none, steps, lr=lr, beta1=beta1, beta2=beta2, weight_decay=decay, eps=epsilon, amsgrad=False, maximize=False)

        def sgd_foreach(params: List[Tensor], grads: List[Tensor], buffers: List[Tensor], lr: float, momentum: float, decay: float, nesterov: bool):
            g = aligned(params, grads)
            if decay != 0.0:
                g = torch._foreach_add(g, params, alpha=decay)
            if momentum != 0.0:
                torch._foreach_mul_(buffers, momentum)
                torch._foreach_add_(buffers, g, alpha=1.0)
                if nesterov:
                    g = torch._foreach_add(g, buffers, alpha=momentum)
                else:
                    g = buffers
            torch._foreach_add_(params, g, alpha=-lr)

        def adam_foreach(params: List[Tensor], grads: List[Tensor], means: List[Tensor], squares: List[Tensor], step: Tensor, lr: float, beta1: float, beta2: float, epsilon: float, decay: float, decoupled: bool):
            g = aligned(params, grads)
            step.add_(1)
            if decay != 0.0:
                if decoupled:
                    torch._foreach_mul_(params, 1.0 - lr * decay)
                else:
                    g = torch._foreach_add(g, params, alpha=decay)
            torch._foreach_lerp_(means, g, 1.0 - beta1)
            torch._foreach_mul_(squares, beta2)
            torch._foreach_addcmul_(squares, g, g, 1.0 - beta2)
            correction1 = 1.0 - torch.pow(beta1, step)
            correction2 = torch.sqrt(1.0 - torch.pow(beta2, step))
            denominators = torch._foreach_sqrt(squares)
            torch._foreach_div_(denominators, correction2)
            torch._foreach_add_(denominators, epsilon)
            updates = torch._foreach_div(means, denominators)
            torch._foreach_mul_(updates, -lr / correction1)
            torch._foreach_add_(params, updates)

        def copy(targets: List[Tensor], sources: List[Tensor]):
            torch._foreach_copy_(targets, sources)

        def lerp(averages: List[Tensor], values: List[Tensor], weight: float):
            torch._foreach_lerp_(averages, values, weight)

        """;

    private static readonly Lazy<jit.CompilationUnit> Compiled = new(() => jit.compile(Source), LazyThreadSafetyMode.PublicationOnly);

    /// <summary>Calls a function of the source. Numbers go as <see cref="Scalar"/> or <see cref="bool"/>: a double would be boxed by TorchSharp into
    /// a native scalar that the collector may free before the call reads it.</summary>
    public static object Invoke(string function, params object[] arguments)
    {
        var result = Compiled.Value.invoke(function, arguments);
        GC.KeepAlive(arguments);
        return result;
    }
}
