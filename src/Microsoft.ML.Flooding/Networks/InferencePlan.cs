using Microsoft.ML.Flooding.Runtime;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace Microsoft.ML.Flooding.Networks;

/// <summary>
/// A network's forward pass, prepared for evaluation: a list of steps over numbered values. Batch norm is folded into the preceding layer,
/// weights have the layout that the device prefers, and each value is freed after its last use, so that the next value reuses memory in the
/// CPU cache. Thread-safe.
/// </summary>
internal sealed class InferencePlan(IReadOnlyList<InferencePlan.Step> steps, int values, IReadOnlyList<Tensor> weights) : IDisposable
{
    /// <summary>Computes the result of the last step from images [N, C, H, W].</summary>
    /// <param name="input">The images. They are disposed of after their last use.</param>
    /// <returns>A tensor in the caller's dispose scope.</returns>
    public Tensor Run(Tensor input)
    {
        var computed = new Tensor[values];
        computed[0] = input;
        var last = input;
        foreach (var step in steps)
        {
            last = computed[step.Output] = step.Compute(computed);
            foreach (var dead in step.LastUses)
            {
                // An in-place operator returns its input.
                if (!ReferenceEquals(computed[dead], last))
                    computed[dead].Dispose();
            }
        }
        return last;
    }

    public void Dispose()
    {
        foreach (var weight in weights)
            weight.Dispose();
    }

    /// <summary>One step of the plan.</summary>
    /// <param name="Compute">Computes the step from the values of earlier steps.</param>
    /// <param name="Output">The number of the value that the step computes.</param>
    /// <param name="LastUses">The numbers of the values that no later step reads.</param>
    internal readonly record struct Step(Func<Tensor[], Tensor> Compute, int Output, int[] LastUses);
}

/// <summary>Interprets a network over the numbers of its values, and records each operation with copies of the weights.</summary>
internal sealed class InferencePlanBuilder : IOperators<int>
{
    private readonly Device _device;
    private readonly ScalarType _type;
    private readonly List<(Func<Tensor[], Tensor> Compute, int[] Inputs)> _steps = [];
    private readonly List<Tensor> _weights = [];
    private readonly HashSet<int> _constants = [];

    private InferencePlanBuilder(Device device, ScalarType type)
    {
        _device = device;
        _type = type;
    }

    /// <summary>Builds the plan of a network's logits.</summary>
    /// <param name="network">
    /// The network, whose weights are copied. A network that cannot be interpreted is moved to the device and called directly.
    /// </param>
    /// <param name="device">The device of the plan.</param>
    /// <param name="type">The type in which the plan computes.</param>
    public static InferencePlan Build(Network network, Device device, ScalarType type)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        if (!network.IsInterpretable)
        {
            network.to(device);
            network.ToChannelsLast();
            network.eval();
            return new InferencePlan([new InferencePlan.Step(values => network.forward(values[0]), 1, [0])], 2, []);
        }
        return Build(device, type, builder => network.Logits(builder, 0));
    }

    /// <summary>Builds the plan of a network's features, the inputs of its last layer.</summary>
    /// <param name="network">The network, whose weights are copied. It can be interpreted.</param>
    /// <param name="device">The device of the plan.</param>
    /// <param name="type">The type in which the plan computes.</param>
    public static InferencePlan BuildFeatures(Network network, Device device, ScalarType type)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        return Build(device, type, builder => network.Features(builder, 0));
    }

    private static InferencePlan Build(Device device, ScalarType type, Action<InferencePlanBuilder> record)
    {
        var builder = new InferencePlanBuilder(device, type);
        try
        {
            record(builder);
            return builder.ToPlan();
        }
        catch
        {
            foreach (var weight in builder._weights)
                weight.Dispose();
            throw;
        }
    }

    public int Conv2d(Conv2d conv, int x) => Conv2d(conv, conv.weight, conv.bias, x);

    public int ConvBatchNorm(Conv2d conv, BatchNorm2d norm, int x)
    {
        var (weight, bias) = BatchNormFolding.Fold(conv.weight, conv.bias, norm);
        return Conv2d(conv, weight, bias, x);
    }

    public int BatchNorm(BatchNorm norm, int x)
    {
        // Not in the plan's type: libtorch normalizes bfloat16 with float32 statistics.
        var (mean, variance, epsilon) = (Own(norm.running_mean!), Own(norm.running_var!), norm.eps);
        var (weight, bias) = (OwnOrNull(norm.weight), OwnOrNull(norm.bias));
        return Add(x, v => F.batch_norm(v, mean, variance, weight, bias, training: false, eps: epsilon));
    }

    public int Linear(Linear linear, int x) => Linear(linear.weight!, linear.bias, x);

    public int LinearBatchNorm(Linear linear, BatchNorm1d norm, int x)
    {
        var (weight, bias) = BatchNormFolding.Fold(linear.weight!, linear.bias, norm);
        return Linear(weight, bias, x);
    }

    public int LayerNorm(LayerNorm norm, int x)
    {
        var (weight, bias) = (Keep(norm.weight), norm.bias is null ? null : Keep(norm.bias));
        var (shape, epsilon) = (norm.normalized_shape, norm.eps);
        return Add(x, v => F.layer_norm(v, shape, weight, bias, epsilon));
    }

    public int Attention(Linear projection, Linear output, int heads, int x)
    {
        var (projectionWeight, projectionBias) = (Keep(projection.weight!), projection.bias is null ? null : Keep(projection.bias));
        var (outputWeight, outputBias) = (Keep(output.weight!), output.bias is null ? null : Keep(output.bias));
        return AddScoped(x, v =>
        {
            var (tokens, width) = (v.shape[1], v.shape[2]);
            var parts = LinearLayer.Apply(v, projectionWeight, projectionBias)
                .reshape(-1, tokens, 3, heads, width / heads).permute(2, 0, 3, 1, 4).unbind(0);
            var attended = F.scaled_dot_product_attention(parts[0], parts[1], parts[2]).transpose(1, 2).reshape(-1, tokens, width);
            return LinearLayer.Apply(attended, outputWeight, outputBias);
        });
    }

    public int Activate(Activation activation, int x) => Add(x, v => TensorOperators.Instance.Activate(activation, v));

    public int Add(int x, int y) => Add([x, y], values => values[x].PlusInPlace(values[y]));

    public int Combine(BinaryOperator combination, int x, int y) =>
        Add([x, y], values => TensorOperators.Instance.Combine(combination, values[x], values[y]));

    public int Constant(Tensor values)
    {
        var own = Keep(values);
        var number = Add([], _ => own);
        _constants.Add(number);
        return number;
    }

    public int Copy(int x) => Add(x, v => v.clone());

    public int Pool(Pooling pooling, int x) => Add(x, v => TensorOperators.Instance.Pool(pooling, v));

    public int GlobalAveragePool(int x) => Add(x, v => F.adaptive_avg_pool2d(v, 1));

    public int Reduce(Aggregation aggregation, long[] axes, bool keeps, int x) =>
        Add(x, v => TensorOperators.Instance.Reduce(aggregation, axes, keeps, v));

    public int MatMul(int x, int y) => Add([x, y], values => values[x].matmul(values[y]));

    public int Softmax(long axis, int x) => Add(x, v => v.softmax(axis));

    public int Pad(long[] before, long[] after, double value, int x) =>
        Add(x, v => TensorOperators.Instance.Pad(before, after, value, v));

    public int Reshape(long[] sizes, int x) => Add(x, v => v.reshape(sizes));

    public int Flatten(int axis, int x) => Add(x, v => v.flatten(axis));

    public int Permute(long[] axes, int x) => Add(x, v => v.permute(axes));

    public int Slice(long axis, long start, long end, long step, int x) => Add(x, v => v.slice(axis, start, end, step));

    public int Gather(long axis, long[] indices, int x) => Add(x, v => TensorOperators.Instance.Gather(axis, indices, v));

    public int Concat(long axis, int[] values) => Add(values, computed => cat([.. values.Select(x => computed[x])], axis));

    public int Repeat(int x, int like) => Add([x, like], values => TensorOperators.Instance.Repeat(values[x], values[like]));

    public int Dropout(double probability, int x) => x;

    public int StochasticDepth(double probability, int x) => x;

    private int Conv2d(Conv2d conv, Tensor weight, Tensor? bias, int x)
    {
        var (ownWeight, ownBias) = (Keep(weight), bias is null ? null : Keep(bias));
        return AddScoped(x, v => Networks.Convolution.Apply(conv, v, ownWeight, ownBias));
    }

    private int Linear(Tensor weight, Tensor? bias, int x)
    {
        var (ownWeight, ownBias) = (Keep(weight), bias is null ? null : Keep(bias));
        return Add(x, v => LinearLayer.Apply(v, ownWeight, ownBias));
    }

    private Tensor Keep(Tensor weight)
    {
        var own = weight.detach().to(_type).to(_device);
        return Own(own.ndim == 4 ? own.ToChannelsLast() : own);
    }

    private Tensor? OwnOrNull(Tensor? weight) => weight is null ? null : Own(weight.detach().to(_device));

    /// <summary>Copies a weight, so that the plan does not depend on the lifetime or later changes of the network.</summary>
    private Tensor Own(Tensor weight)
    {
        var own = weight.detach().to(_device).clone().DetachFromDisposeScope();
        _weights.Add(own);
        return own;
    }

    /// <summary>Adds an operator that creates intermediate tensors.</summary>
    private int AddScoped(int x, Func<Tensor, Tensor> compute) => Add(x, v =>
    {
        using var scope = NewDisposeScope();
        return compute(v).MoveToOuterDisposeScope();
    });

    private int Add(int x, Func<Tensor, Tensor> compute) => Add([x], values => compute(values[x]));

    private int Add(int[] inputs, Func<Tensor[], Tensor> compute)
    {
        _steps.Add((compute, inputs));
        return _steps.Count;
    }

    private InferencePlan ToPlan()
    {
        var lastUse = new int[_steps.Count + 1];
        for (var i = 0; i < _steps.Count; i++)
            foreach (var input in _steps[i].Inputs)
                lastUse[input] = i;
        var steps = _steps.Select((step, i) => new InferencePlan.Step(
            step.Compute, i + 1,
            [.. step.Inputs.Where(input => lastUse[input] == i && !_constants.Contains(input)).Distinct()]));
        return new InferencePlan([.. steps], _steps.Count + 1, _weights);
    }
}
