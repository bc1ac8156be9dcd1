using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Networks.Onnx;

/// <summary>An operator with its settings, which is applied to values of any type.</summary>
internal abstract record GraphOperation
{
    /// <summary>The layers with its parameters and buffers.</summary>
    public virtual IEnumerable<nn.Module> Modules => [];

    /// <summary>Whether a result that is read only once can be overwritten: it is not a view, and the gradient does not need it.</summary>
    public virtual bool MayBeOverwritten => false;

    public abstract T Apply<T>(IOperators<T> op, T[] x);
}

/// <summary>A convolution, followed by a batch norm if there is one.</summary>
internal sealed record ConvOperation(Conv2d Conv, BatchNorm2d? Norm = null) : GraphOperation
{
    public override IEnumerable<nn.Module> Modules => Norm is null ? [Conv] : [Conv, Norm];

    public override bool MayBeOverwritten => true;

    public override T Apply<T>(IOperators<T> op, T[] x) => Norm is null ? op.Conv2d(Conv, x[0]) : op.ConvBatchNorm(Conv, Norm, x[0]);
}

/// <summary>A linear layer, followed by a batch norm if there is one.</summary>
internal sealed record LinearOperation(Linear Linear, BatchNorm1d? Norm = null) : GraphOperation
{
    public override IEnumerable<nn.Module> Modules => Norm is null ? [Linear] : [Linear, Norm];

    public override bool MayBeOverwritten => true;

    public override T Apply<T>(IOperators<T> op, T[] x) => Norm is null ? op.Linear(Linear, x[0]) : op.LinearBatchNorm(Linear, Norm, x[0]);
}

internal sealed record BatchNormOperation(BatchNorm Norm) : GraphOperation
{
    public override IEnumerable<nn.Module> Modules => [Norm];

    public override bool MayBeOverwritten => true;

    public override T Apply<T>(IOperators<T> op, T[] x) => op.BatchNorm(Norm, x[0]);
}

internal sealed record LayerNormOperation(LayerNorm Norm) : GraphOperation
{
    public override IEnumerable<nn.Module> Modules => [Norm];

    public override T Apply<T>(IOperators<T> op, T[] x) => op.LayerNorm(Norm, x[0]);
}

internal sealed record ConstantOperation(GraphConstant Constant) : GraphOperation
{
    public override IEnumerable<nn.Module> Modules => [Constant];

    public override T Apply<T>(IOperators<T> op, T[] x) => op.Constant(Constant.Values);
}

/// <param name="Activation">The function.</param>
/// <param name="Overwrites">Whether its input can be overwritten because nothing else reads it.</param>
internal sealed record ActivateOperation(Activation Activation, bool Overwrites = false) : GraphOperation
{
    public override T Apply<T>(IOperators<T> op, T[] x) => op.Activate(Activation, Overwrites ? x[0] : op.Copy(x[0]));
}

internal sealed record CombineOperation(BinaryOperator Combination) : GraphOperation
{
    public override bool MayBeOverwritten => Combination is BinaryOperator.Add or BinaryOperator.Subtract or BinaryOperator.Multiply;

    public override T Apply<T>(IOperators<T> op, T[] x) => op.Combine(Combination, x[0], x[1]);
}

/// <summary>The sum of two values of the same shape. Nothing else reads the first one.</summary>
internal sealed record AddOperation : GraphOperation
{
    public override bool MayBeOverwritten => true;

    public override T Apply<T>(IOperators<T> op, T[] x) => op.Add(x[0], x[1]);
}

internal sealed record PoolOperation(Pooling Pooling) : GraphOperation
{
    public override T Apply<T>(IOperators<T> op, T[] x) => op.Pool(Pooling, x[0]);
}

internal sealed record GlobalAveragePoolOperation : GraphOperation
{
    public override T Apply<T>(IOperators<T> op, T[] x) => op.GlobalAveragePool(x[0]);
}

internal sealed record ReduceOperation(Aggregation Aggregation, long[] Axes, bool Keeps) : GraphOperation
{
    public override T Apply<T>(IOperators<T> op, T[] x) => op.Reduce(Aggregation, Axes, Keeps, x[0]);
}

internal sealed record MatMulOperation : GraphOperation
{
    public override T Apply<T>(IOperators<T> op, T[] x) => op.MatMul(x[0], x[1]);
}

internal sealed record SoftmaxOperation(long Axis) : GraphOperation
{
    public override T Apply<T>(IOperators<T> op, T[] x) => op.Softmax(Axis, x[0]);
}

internal sealed record PadOperation(long[] Before, long[] After, double Value) : GraphOperation
{
    public override T Apply<T>(IOperators<T> op, T[] x) => op.Pad(Before, After, Value, x[0]);
}

internal sealed record ReshapeOperation(long[] Sizes) : GraphOperation
{
    public override T Apply<T>(IOperators<T> op, T[] x) => op.Reshape(Sizes, x[0]);
}

internal sealed record PermuteOperation(long[] Axes) : GraphOperation
{
    public override T Apply<T>(IOperators<T> op, T[] x) => op.Permute(Axes, x[0]);
}

internal sealed record SliceOperation(long Axis, long Start, long End, long Step) : GraphOperation
{
    public override T Apply<T>(IOperators<T> op, T[] x) => op.Slice(Axis, Start, End, Step, x[0]);
}

internal sealed record GatherOperation(long Axis, long[] Indices) : GraphOperation
{
    public override T Apply<T>(IOperators<T> op, T[] x) => op.Gather(Axis, Indices, x[0]);
}

internal sealed record ConcatOperation(long Axis) : GraphOperation
{
    public override T Apply<T>(IOperators<T> op, T[] x) => op.Concat(Axis, x);
}

internal sealed record RepeatOperation : GraphOperation
{
    public override T Apply<T>(IOperators<T> op, T[] x) => op.Repeat(x[0], x[1]);
}

internal sealed record DropoutOperation(double Probability) : GraphOperation
{
    public override T Apply<T>(IOperators<T> op, T[] x) => op.Dropout(Probability, x[0]);
}
