using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Networks.Onnx;

/// <summary>The steps that one value needs, made ready to run: memory is used again where nothing else reads it.</summary>
internal sealed class GraphProgram
{
    private readonly List<GraphStep> _steps;
    private readonly int _output;

    private GraphProgram(List<GraphStep> steps, int output) => (_steps, _output) = (steps, output);

    /// <summary>The layers of the steps, block by block: a block ends where a single value holds all that later steps need.</summary>
    public IEnumerable<IReadOnlyList<nn.Module>> Blocks()
    {
        var uses = Uses();
        var (block, live) = (new List<nn.Module>(), 1);
        for (var i = 0; i < _steps.Count; i++)
        {
            block.AddRange(_steps[i].Operation.Modules);
            live += IsConstant(i + 1) ? 0 : 1;
            foreach (var input in _steps[i].Inputs)
                live -= --uses[input] == 0 && !IsConstant(input) ? 1 : 0;
            if (live == 1 && block.Count > 0)
            {
                yield return block;
                block = [];
            }
        }
        if (block.Count > 0)
            yield return block;
    }

    public static GraphProgram Of(GraphBuilder builder, ComputedValue output)
    {
        var needed = new bool[builder.Steps.Count + 1];
        needed[output.Number] = true;
        for (var i = builder.Steps.Count; i > 0; i--)
        {
            foreach (var input in needed[i] ? builder.Steps[i - 1].Inputs : [])
                needed[input] = true;
        }
        var (steps, numbers, shapes) = (new List<GraphStep>(), new int[needed.Length], new List<long[]> { builder.Image.One });
        for (var i = 1; i < needed.Length; i++)
        {
            if (!needed[i])
                continue;
            var step = builder.Steps[i - 1];
            steps.Add(step with { Inputs = [.. step.Inputs.Select(input => numbers[input])] });
            shapes.Add(builder[i].One);
            numbers[i] = steps.Count;
        }
        var program = new GraphProgram(steps, numbers[output.Number]);
        program.Overwrite(shapes);
        return program;
    }

    public T Run<T>(IOperators<T> op, T image)
    {
        var values = new T[_steps.Count + 1];
        values[0] = image;
        for (var i = 0; i < _steps.Count; i++)
            values[i + 1] = _steps[i].Operation.Apply(op, [.. _steps[i].Inputs.Select(input => values[input])]);
        return values[_output];
    }

    private bool IsConstant(int value) => value > 0 && _steps[value - 1].Operation is ConstantOperation;

    private int[] Uses()
    {
        var uses = new int[_steps.Count + 1];
        foreach (var input in _steps.SelectMany(step => step.Inputs))
            uses[input]++;
        uses[_output]++;
        return uses;
    }

    private void Overwrite(List<long[]> shapes)
    {
        var uses = Uses();
        bool IsFree(int value) => value > 0 && uses[value] == 1 && _steps[value - 1].Operation.MayBeOverwritten;
        for (var i = 0; i < _steps.Count; i++)
        {
            var step = _steps[i];
            if (step is { Operation: ActivateOperation activate, Inputs: [var value] } && IsFree(value))
                _steps[i] = step with { Operation = activate with { Overwrites = true } };
            else if (step is { Operation: CombineOperation { Combination: BinaryOperator.Add }, Inputs: [var x, var y] }
                && shapes[x].SequenceEqual(shapes[y]) && (IsFree(x) || IsFree(y)))
                _steps[i] = new GraphStep(new AddOperation(), IsFree(x) ? [x, y] : [y, x]);
        }
    }
}
