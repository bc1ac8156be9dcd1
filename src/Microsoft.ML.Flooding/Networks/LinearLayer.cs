using System.Runtime.ExceptionServices;
using System.Runtime.Intrinsics.X86;
using TorchSharp;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace Microsoft.ML.Flooding.Networks;

/// <summary>
/// x W' + b. libtorch computes float32 matrix products with MKL, which does not use the widest instructions of AMD's processors. There,
/// oneDNN, which is part of the same libtorch, takes half of the time.
/// </summary>
internal sealed class LinearLayer : autograd.SingleTensorFunction<LinearLayer>
{
    private const string NeedsGradient = "x needs a gradient";
    private const string HasBias = "there is a bias";

    // oneDNN first rearranges the weights, which is not worthwhile for fewer rows.
    private const int FewestRows = 32;

    // The signature of "AuthenticAMD".
    private const int Amd = 0x68747541;

    private static readonly bool PrefersOneDnn = X86Base.IsSupported && X86Base.CpuId(0, 0).Ebx == Amd && Avx512F.IsSupported;

    private static readonly Lazy<jit.ScriptModule> OneDnn = new(() => ScriptSource.Compile(
        """
          def product(self: __torch__.Kernels, x: Tensor, w: Tensor, b: Optional[Tensor]) -> Tensor:
            return ops.mkldnn._linear_pointwise(x, w, b, "none", annotate(List[Optional[number]], []), "")

        """), LazyThreadSafetyMode.PublicationOnly);

    /// <summary>
    /// The exception of a backward pass on this thread, where libtorch computes gradients on the CPU. An exception must not pass through
    /// libtorch's stack frames.
    /// </summary>
    [field: ThreadStatic]
    public static ExceptionDispatchInfo? Failure { get; set; }

    public override string Name => nameof(LinearLayer);

    /// <summary>[..., inputs] to [..., outputs].</summary>
    public static Tensor Apply(Tensor x, Tensor weight, Tensor? bias)
    {
        if (!PrefersOneDnn || x.dtype != ScalarType.Float32 || x.device_type != DeviceType.CPU || x.numel() < FewestRows * weight.size(1))
            return F.linear(x, weight, bias);
        if (!is_grad_enabled())
            return Product(x, weight, bias);
        // The result must not be a view created inside the function, because the next layer may overwrite it.
        return x.dim() == 2 ? apply(x, weight, bias!) : apply(x.flatten(0, -2), weight, bias!).reshape([.. x.shape[..^1], weight.shape[0]]);
    }

    public override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
    {
        var (x, weight) = ((Tensor)vars[0], (Tensor)vars[1]);
        ctx.save_for_backward([x, weight]);
        ctx.save_data(NeedsGradient, x.requires_grad);
        ctx.save_data(HasBias, vars[2] is not null);
        return Product(x, weight, (Tensor?)vars[2]);
    }

    public override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output)
    {
        try
        {
            var saved = ctx.get_saved_variables();
            var (x, weight) = (saved[0], saved[1]);
            var input = (bool)ctx.get_data(NeedsGradient) ? Product(grad_output, weight.t(), null) : null;
            return [input!, Product(grad_output.t(), x.t(), null), (bool)ctx.get_data(HasBias) ? grad_output.sum([0L]) : null!];
        }
        catch (Exception e)
        {
            Failure ??= ExceptionDispatchInfo.Capture(e);
            return [null!, null!, null!];
        }
    }

    private static Tensor Product(Tensor x, Tensor weight, Tensor? bias) => (Tensor)OneDnn.Value.invoke("product", x, weight, bias!);
}
