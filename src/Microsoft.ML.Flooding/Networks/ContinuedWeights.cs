using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Networks;

/// <summary>Starts a network for other classes from the weights of a trained network.</summary>
internal static class ContinuedWeights
{
    /// <summary>
    /// Copies the weights of all layers before the head, and the rows of the head for the classes that both networks have.
    /// </summary>
    /// <param name="network">The new network, of the same architecture. The head's rows for new classes keep their initial values.</param>
    /// <param name="trained">The trained network.</param>
    /// <param name="trainedClasses">The number of classes of the trained network.</param>
    /// <param name="origins">
    /// For each class of <paramref name="network"/>, its index in <paramref name="trained"/>; null if it is new.
    /// </param>
    public static void Copy(Network network, Network trained, int trainedClasses, IReadOnlyList<int?> origins)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var state = trained.State().ToDictionary(entry => entry.Name, entry => entry.Tensor);
        // If the classes are the same, the head does not have to be known.
        if (trainedClasses != origins.Count || origins.Index().Any(origin => origin.Item != origin.Index))
        {
            var known = Enumerable.Range(0, origins.Count).Where(i => origins[i] is not null).ToArray();
            var from = tensor(known.Select(i => (long)origins[i]!.Value).ToArray());
            var to = tensor(known.Select(i => (long)i).ToArray());
            foreach (var (name, own) in network.State().Where(entry => IsOfHead(entry.Tensor)))
                state[name] = own.detach().clone().index_copy_(0, to, state[name].index_select(0, from));
        }
        network.LoadState(state);

        bool IsOfHead(Tensor tensor) => network.Head.parameters().Any(parameter => parameter.Handle == tensor.Handle);
    }
}
