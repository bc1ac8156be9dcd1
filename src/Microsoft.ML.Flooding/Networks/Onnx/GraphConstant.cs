using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Networks.Onnx;

/// <summary>
/// A tensor that an operator other than a layer reads: a parameter, or a buffer, which stays float32 whatever the network computes in.
/// </summary>
internal sealed class GraphConstant : nn.Module
{
    private const string Value = "value";

    public GraphConstant(Tensor values, bool isLearned) : base(nameof(GraphConstant))
    {
        if (isLearned)
            this.Register(Value, nn.Parameter(values));
        else
            register_buffer(Value, values.DetachFromDisposeScope());
    }

    // Looked up each time, since moving a module to a device or type replaces its tensors.
    public Tensor Values => get_parameter(Value) ?? get_buffer(Value)!;

    protected override void RegisterComponents()
    {
    }

    protected override nn.Module _to(ScalarType dtype, bool non_blocking) => get_parameter(Value) is null ? this
        : base._to(dtype, non_blocking);

    protected override nn.Module _to(Device device, ScalarType dtype, bool non_blocking) =>
        get_parameter(Value) is null ? base._to(device.type, device.index, non_blocking) : base._to(device, dtype, non_blocking);
}
