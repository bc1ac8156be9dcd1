using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Runtime;
using TorchSharp.Modules;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace Microsoft.ML.Flooding.Networks;

/// <summary>Loads weights from a <see cref="TensorFile"/> with torchvision's or timm's names.</summary>
internal static class PretrainedWeights
{
    private const string Counter = "num_batches_tracked";

    // The deepest nesting of wrappers, such as state_dict.model.module.backbone.
    private const int MostWrappers = 8;

    /// <summary>Copies the weights that fit into a network.</summary>
    /// <remarks>
    /// <para>Weights can be floating-point numbers of any precision. A head for another number of classes keeps its initial values.</para>
    /// <para>A prefix that wrappers add to every name (module., model., backbone., _orig_mod. and any other) is removed: the prefix in the
    /// file whose names fit the network best or, if several fit equally well, the first of them.</para>
    /// <para>If color weights are loaded for gray images, the weights of the first convolution are summed over the channels; a gray image
    /// then has the same result as a color image of three equal channels. In the opposite case, the weights are distributed evenly over the
    /// channels.</para>
    /// <para>
    /// The position embeddings of a vision transformer are interpolated to the network's grid (bicubic). The grid of the file is taken from
    /// the images it was trained on, if they are known and the number of patches agrees. Otherwise it is square or, if that does not agree
    /// either, the network's grid.
    /// </para>
    /// </remarks>
    /// <param name="network">The network.</param>
    /// <param name="path">The file.</param>
    /// <param name="trainedOn">The shape of the images that the weights were trained on; null if it is not known.</param>
    /// <exception cref="InvalidDataException">The file is malformed, or fits less than half of the network's parameters.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static PretrainedWeightsReport Load(Network network, string path, ImageShape? trainedOn = null) =>
        TensorFile.Read(path, file => Load(network, file, trainedOn));

    /// <summary>The architecture with the stem that the weights were trained with, unless its stem is set explicitly.</summary>
    /// <exception cref="InvalidDataException">The file is malformed.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static Architecture WithStemOf(Architecture architecture, string path)
    {
        if (architecture.Family.StemWeight is not { } stem || architecture.Stem != Stem.Automatic)
            return architecture;
        // The shortest path: blocks may contain a part with the same name.
        var weight = TensorFile.Read(path, file => file.Entries
            .Where(entry => entry.Shape.Length == 4 && stem.Names.Any(name =>
                entry.Name == name || entry.Name.EndsWith("." + name, StringComparison.Ordinal)))
            .MinBy(entry => entry.Name.Count(c => c == '.')));
        return weight is null ? architecture : architecture.WithStem(weight.Shape[3] == stem.ImageNetKernel ? Stem.ImageNet : Stem.Small);
    }

    private static PretrainedWeightsReport Load(Network network, TensorFile file, ImageShape? trainedOn)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        var stored = OwnNames(network, file);
        var positions = (network as VisionTransformer)?.Positions;
        var firstConvolution = network.modules().OfType<Conv2d>().FirstOrDefault();
        var parameters = network.named_parameters().Select(entry => entry.name).ToHashSet();
        var (loaded, skipped, missing) = (new List<string>(), new List<string>(), new List<string>());
        foreach (var (name, tensor) in network.State())
        {
            if (!stored.Remove(name, out var entry))
            {
                // Files from before PyTorch 0.4.1 do not have the counter, which only a momentum of null uses.
                if (!name.EndsWith(Counter, StringComparison.Ordinal))
                    missing.Add(name);
            }
            else if ((ReferenceEquals(tensor, positions)
                ? PositionConversion((VisionTransformer)network, entry, trainedOn)
                : Conversion(firstConvolution, tensor, entry)) is { } convert)
            {
                using var inner = NewDisposeScope();
                tensor.copy_(convert(file.Load(entry.Name)));
                loaded.Add(name);
            }
            else
            {
                missing.Add(name);
                skipped.Add(
                    $"{entry.Name}: its shape is [{string.Join(", ", entry.Shape)}], but the network's is "
                    + $"[{string.Join(", ", tensor.shape)}]");
            }
        }
        skipped.AddRange(stored.Values.Select(entry => $"{entry.Name}: the network has no such tensor"));
        var fitting = loaded.Count(parameters.Contains);
        if (2 * fitting < parameters.Count)
        {
            throw new InvalidDataException(
                $"It does not contain weights of this architecture: only {fitting} of its {parameters.Count} parameters fit. "
                + $"The file has {string.Join(", ", file.Entries.Take(3).Select(entry => $"'{entry.Name}'"))}; "
                + $"the network has {string.Join(", ", parameters.Take(3).Select(name => $"'{name}'"))}.");
        }
        return new(loaded, skipped, missing);
    }

    private static OrderedDictionary<string, TensorEntry> OwnNames(Network network, TensorFile file)
    {
        var own = network.State().Select(entry => entry.Name).ToHashSet();
        string OwnName(string name) => own.Contains(name) ? name : TimmNames.ToTorchvision(name, own);
        var prefix = Prefix(file, own, name => name, out var hits);
        if (2 * hits < own.Count)
            prefix = Prefix(file, own, OwnName, out _);
        var entries = new OrderedDictionary<string, TensorEntry>();
        foreach (var entry in file.Entries)
        {
            // A tensor that does not belong to the network keeps its whole name.
            var name = entry.Name.StartsWith(prefix, StringComparison.Ordinal) ? OwnName(entry.Name[prefix.Length..]) : entry.Name;
            entries.TryAdd(own.Contains(name) ? name : entry.Name, entry);
        }
        return entries;
    }

    /// <summary>The prefix that the most tensors of the network have in the file.</summary>
    private static string Prefix(TensorFile file, HashSet<string> own, Func<string, string> ownName, out int hits)
    {
        var counts = new OrderedDictionary<string, int> { [""] = 0 };
        foreach (var entry in file.Entries)
        {
            var start = 0;
            for (var wrappers = 0; wrappers <= MostWrappers; wrappers++)
            {
                if (own.Contains(ownName(entry.Name[start..])))
                    counts[entry.Name[..start]] = counts.GetValueOrDefault(entry.Name[..start]) + 1;
                var dot = entry.Name.IndexOf('.', start);
                if (dot < 0)
                    break;
                start = dot + 1;
            }
        }
        (var prefix, hits) = counts.MaxBy(count => count.Value);
        return prefix;
    }

    /// <summary>
    /// The conversion from the file's values to those of a tensor, chosen before they are loaded; null if they do not fit.
    /// </summary>
    private static Func<Tensor, Tensor>? Conversion(Conv2d? firstConvolution, Tensor tensor, TensorEntry entry)
    {
        var (own, stored) = (tensor.shape, entry.Shape);
        if (tensor.is_floating_point() != IsFloatingPoint(entry.Type))
            return null;
        if (own.SequenceEqual(stored))
            return values => values;
        // A 1x1 convolution of one pixel equals a linear layer, and a scale for each channel may have additional axes for broadcasting.
        if (own.Where(size => size > 1).SequenceEqual(stored.Where(size => size > 1)))
            return values => values.reshape(own);
        if (ReferenceEquals(tensor, firstConvolution?.weight) && stored.Length == 4 && own[0] == stored[0]
            && own.AsSpan(2).SequenceEqual(stored.AsSpan()[2..]))
        {
            return (own[1], stored[1]) switch
            {
                (1, 3) => values => values.@float().sum(1, keepdim: true),
                (3, 1) => values => values.@float().expand(-1, 3, -1, -1).Over(3),
                _ => null,
            };
        }
        return null;
    }

    private static bool IsFloatingPoint(ScalarType type) =>
        type is ScalarType.Float16 or ScalarType.BFloat16 or ScalarType.Float32 or ScalarType.Float64;

    private static Func<Tensor, Tensor>? PositionConversion(VisionTransformer network, TensorEntry entry, ImageShape? trainedOn)
    {
        if (!IsFloatingPoint(entry.Type) || entry.Shape is not [1, > 1, var width] || width != network.Positions.shape[2])
            return null;
        var patches = entry.Shape[1] - 1;
        var side = (int)Math.Sqrt(patches);
        (int Height, int Width)[] known = trainedOn is { } shape ? [network.GridOf(shape)] : [];
        var grid = known.Append((Height: side, Width: side)).Append(network.Grid)
            .FirstOrDefault(grid => (long)grid.Height * grid.Width == patches);
        return grid.Height == 0 ? null
            : grid == network.Grid ? values => values
            : values => Interpolate(values.@float(), grid, network.Grid);
    }

    private static Tensor Interpolate(Tensor positions, (int Height, int Width) from, (int Height, int Width) to)
    {
        var patches = positions[.., 1..].reshape(1, from.Height, from.Width, -1).permute(0, 3, 1, 2);
        var resized = F.interpolate(patches, [to.Height, to.Width], mode: InterpolationMode.Bicubic, align_corners: false);
        return cat([positions[.., ..1], resized.flatten(2).transpose(1, 2)], 1);
    }
}
