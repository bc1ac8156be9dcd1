using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Networks;

/// <summary>The weights of a trained network as the start of another one for other classes.</summary>
internal static class ContinuedWeights
{
    /// <summary>Copies a trained network: all layers before the head as they are, the head row by row.</summary>
    /// <param name="network">Of the same architecture; a row of its head that has no part keeps its initial values.</param>
    /// <param name="trained">What was trained.</param>
    /// <param name="trainedClasses">The number of its classes.</param>
    /// <param name="origins">For each class of <paramref name="network"/> its number in <paramref name="trained"/>; null: it is new.</param>
    public static void Copy(Network network, Network trained, int trainedClasses, IReadOnlyList<int?> origins)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var state = trained.State().ToDictionary(entry => entry.Name, entry => entry.Tensor);
        // The insides of a network that is the same need not be known.
        if (trainedClasses != origins.Count || origins.Index().Any(origin => origin.Item != origin.Index))
        {
            var known = Enumerable.Range(0, origins.Count).Where(i => origins[i] is not null).ToArray();
            var from = tensor(known.Select(i => (long)origins[i]!.Value).ToArray());
            var to = tensor(known.Select(i => (long)i).ToArray());
            foreach (var (name, own) in network.State().Where(entry => network.Head.parameters().Any(p => p.Handle == entry.Tensor.Handle)))
                state[name] = own.detach().clone().index_copy_(0, to, state[name].index_select(0, from));
        }
        network.LoadState(state);
    }
}
