using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Networks;

/// <summary>The parameters and buffers of a module by name, in PyTorch's order.</summary>
internal static class NetworkState
{
    /// <summary>The tensors themselves, not copies: for each module its parameters, its buffers, then those of its children.</summary>
    public static IEnumerable<(string Name, Tensor Tensor)> State(this nn.Module module) => State(module, "");

    /// <summary>Copies values into the parameters and buffers, converting types and devices.</summary>
    /// <exception cref="InvalidDataException">A tensor is missing, unexpected or has another shape. Nothing is copied.</exception>
    public static void LoadState(this nn.Module module, IReadOnlyDictionary<string, Tensor> state)
    {
        using var _ = no_grad();
        foreach (var (own, value) in Match(module, state))
            own.copy_(value);
    }

    /// <summary>Makes the parameters and buffers share the memory of values of the same type and device; copies the other values.</summary>
    /// <exception cref="InvalidDataException">A tensor is missing, unexpected or has another shape. Nothing is changed.</exception>
    public static void AdoptState(this nn.Module module, IReadOnlyDictionary<string, Tensor> state)
    {
        using var _ = no_grad();
        foreach (var (own, value) in Match(module, state))
        {
            if (own.dtype == value.dtype && own.device_type == value.device_type)
                own.set_(value);
            else
                own.copy_(value);
        }
    }

    private static IEnumerable<(Tensor Own, Tensor Value)> Match(nn.Module module, IReadOnlyDictionary<string, Tensor> state)
    {
        ArgumentNullException.ThrowIfNull(state);
        var own = module.State().ToList();
        if (own.Where(entry => !state.ContainsKey(entry.Name)).Select(entry => entry.Name).ToList() is { Count: > 0 } missing)
            throw new InvalidDataException($"The weights lack {Enumerate(missing)}.");
        if (state.Keys.Except(own.Select(entry => entry.Name)).ToList() is { Count: > 0 } unexpected)
            throw new InvalidDataException($"The weights contain {Enumerate(unexpected)}, which the network does not have.");
        foreach (var (name, tensor) in own)
        {
            if (!tensor.shape.SequenceEqual(state[name].shape))
            {
                throw new InvalidDataException(
                    $"'{name}' has the shape [{string.Join(", ", state[name].shape)}] in the weights, but "
                    + $"[{string.Join(", ", tensor.shape)}] in the network.");
            }
        }
        return own.Select(entry => (entry.Tensor, state[entry.Name]));
    }

    private static IEnumerable<(string, Tensor)> State(nn.Module module, string prefix)
    {
        foreach (var (name, parameter) in module.named_parameters(recurse: false))
            yield return (prefix + name, parameter);
        foreach (var (name, buffer) in module.named_buffers(recurse: false))
            yield return (prefix + name, buffer);
        foreach (var (name, child) in module.named_children())
        {
            foreach (var entry in State(child, $"{prefix}{name}."))
                yield return entry;
        }
    }

    private static string Enumerate(List<string> names) =>
        string.Join(", ", names.Take(3).Select(name => $"'{name}'")) + (names.Count > 3 ? $" and {names.Count - 3} more" : "");
}
