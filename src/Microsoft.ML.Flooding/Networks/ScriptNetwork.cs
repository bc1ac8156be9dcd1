using Microsoft.ML.Flooding.Images;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Networks;

/// <summary>A TorchScript module with the weights it was saved with.</summary>
internal sealed class ScriptNetwork : ModuleNetwork
{
    private readonly jit.ScriptModule<Tensor, Tensor> _script;
    private readonly byte[] _content;

    public ScriptNetwork(string name, byte[] script, ImageShape shape, int classes) : base(name)
    {
        _content = script;
        _script = jit.load<Tensor, Tensor>(script);
        // The script itself is not registered: it creates new children each time they are requested.
        foreach (var (parameterName, parameter) in _script.named_parameters())
            this.Register(parameterName, parameter);
        foreach (var (bufferName, buffer) in _script.named_buffers())
            register_buffer(bufferName, buffer.DetachFromDisposeScope());
        Check(shape, classes);
    }

    public override byte[]? Content => _content;

    public override IEnumerable<nn.Module> Parts => _script.modules();

    public override bool training => _script.training;

    public override void train(bool train = true) => _script.train(train);

    /// <summary>Does nothing: the script has its own weights.</summary>
    public override void Initialize(Generator generator)
    {
    }

    protected override Tensor Compute(Tensor x) => _script.call(x);

    // The script moves its tensors in place, which moves the tensors registered here as well.
    protected override nn.Module _to(Device device, ScalarType dtype, bool non_blocking)
    {
        _script.to(device, dtype, non_blocking);
        return this;
    }

    protected override nn.Module _to(DeviceType deviceType, int deviceIndex, bool non_blocking)
    {
        _script.to(deviceType, deviceIndex, non_blocking);
        return this;
    }

    protected override nn.Module _to(ScalarType dtype, bool non_blocking)
    {
        _script.to(dtype, non_blocking);
        return this;
    }

    protected override void Dispose(bool disposing)
    {
        if (disposing)
            _script.Dispose();
        base.Dispose(disposing);
    }
}
