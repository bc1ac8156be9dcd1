namespace Microsoft.ML.Flooding.Training;

/// <summary>
/// Learning rates that shrink from the head of a network to its stem, for pretrained weights (Howard and Ruder, "Universal Language Model
/// Fine-tuning for Text Classification", ACL 2018, arXiv:1801.06146; one factor per layer: Clark et al., ICLR 2020, arXiv:2003.10555).
/// </summary>
internal static class LayerWiseDecay
{
    /// <summary>
    /// The factor of each parameter's learning rate: 1 in the last layer, a power of <paramref name="decay"/> in earlier layers.
    /// </summary>
    public static double[] Factors(WorkingWeights weights, double decay)
    {
        var layers = Layers(weights);
        return [.. layers.Select(layer => Math.Pow(decay, layers[^1] - layer))];
    }

    /// <summary>
    /// The index of each parameter's layer. A layer is a block of a stack or a single module. A module that has only vectors, such as a
    /// norm, belongs to the layer before it.
    /// </summary>
    private static int[] Layers(WorkingWeights weights)
    {
        var blocks = weights.Names.Select(BlockOf).ToArray();
        var withMatrix = Enumerable.Range(0, blocks.Length).Where(i => weights.Parameters[i].dim() > 1).Select(i => blocks[i]).ToHashSet();
        var layers = new int[blocks.Length];
        for (var (i, layer, last) = (0, -1, ""); i < blocks.Length; i++)
        {
            if (blocks[i] != last && (withMatrix.Contains(blocks[i]) || layer < 0))
                (layer, last) = (layer + 1, blocks[i]);
            layers[i] = layer;
        }
        return layers;
    }

    /// <summary>"layer1.0" of "layer1.0.conv1.weight", "conv1" of "conv1.weight".</summary>
    private static string BlockOf(string parameter)
    {
        var parts = parameter.Split('.');
        var number = Array.FindIndex(parts, part => int.TryParse(part, out _));
        return string.Join('.', parts[..(number < 0 ? 1 : number + 1)]);
    }
}
