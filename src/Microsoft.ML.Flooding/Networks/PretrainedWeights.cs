using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Runtime;
using TorchSharp.Modules;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace Microsoft.ML.Flooding.Networks;

/// <summary>Weights from a safetensors file in the names of torchvision or timm.</summary>
internal static class PretrainedWeights
{
    private const string Counter = "num_batches_tracked";
    private static readonly string[] Prefixes = ["state_dict.", "model.", "module."];

    /// <summary>Copies what fits into a network.</summary>
    /// <remarks>
    /// <para>Floating-point weights of any precision. A head for another number of classes keeps its initial values.</para>
    /// <para>Between grey and colour images, the weights of the first convolution are summed over the colours, so that a grey image
    /// gives what it gave as a colour image of three equal channels, or spread evenly over them.</para>
    /// <para>
    /// The positions of a vision transformer are interpolated to the network's grid (bicubic). The grid of the file is that of the images
    /// it was trained on, where they are known and have as many patches; else it is square; else it is the network's, if that has as many
    /// patches.
    /// </para>
    /// </remarks>
    /// <param name="network">Gets the weights.</param>
    /// <param name="path">The file.</param>
    /// <param name="trainedOn">The shape of the images that the weights were trained on; null if it is not known.</param>
    /// <exception cref="InvalidDataException">The file is malformed, or less than half of the network's parameters fit.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static PretrainedWeightsReport Load(Network network, string path, ImageShape? trainedOn = null)
    {
        using var scope = NewDisposeScope();
        using var _ = no_grad();
        using var file = SafetensorsFile.Open(path);
        var stored = OwnNames(network, file);
        var positions = (network as VisionTransformer)?.Positions;
        var firstConvolution = network.modules().OfType<Conv2d>().FirstOrDefault();
        var parameters = network.named_parameters().Select(entry => entry.name).ToHashSet();
        var (loaded, skipped, missing) = (new List<string>(), new List<string>(), new List<string>());
        foreach (var (name, tensor) in network.State())
        {
            if (!stored.Remove(name, out var entry))
            {
                // Files from before PyTorch 0.4.1 lack the counter, and nothing but a momentum of null reads it.
                if (!name.EndsWith(Counter, StringComparison.Ordinal))
                    missing.Add(name);
            }
            else if ((ReferenceEquals(tensor, positions)
                ? FitPositions((VisionTransformer)network, file.Load(entry.Name), trainedOn)
                : Fit(firstConvolution, tensor, file.Load(entry.Name))) is { } values)
            {
                tensor.copy_(values);
                loaded.Add(name);
            }
            else
            {
                missing.Add(name);
                skipped.Add($"{entry.Name}: [{string.Join(", ", entry.Shape)}], where the network has [{string.Join(", ", tensor.shape)}]");
            }
        }
        skipped.AddRange(stored.Values.Select(entry => $"{entry.Name}: the network has no such tensor"));
        var fitting = loaded.Count(parameters.Contains);
        if (2 * fitting < parameters.Count)
        {
            throw new InvalidDataException(
                $"'{path}' does not hold weights of this architecture: only {fitting} of its {parameters.Count} parameters fit. " +
                $"The file has {string.Join(", ", file.Entries.Take(3).Select(entry => $"'{entry.Name}'"))}, " +
                $"the network {string.Join(", ", parameters.Take(3).Select(name => $"'{name}'"))}.");
        }
        return new(loaded, skipped, missing);
    }

    /// <summary>The architecture with the stem that the weights were trained with, unless it has been given one.</summary>
    /// <exception cref="InvalidDataException">The file is malformed.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static Architecture WithStemOf(Architecture architecture, string path)
    {
        if (architecture.Family.StemWeight is not { } stem || architecture.Stem != Stem.Automatic)
            return architecture;
        using var file = SafetensorsFile.Open(path);
        var weight = file.Entries.FirstOrDefault(entry => stem.Names.Contains(WithoutPrefix(entry.Name)) && entry.Shape.Length == 4);
        return weight is null ? architecture : architecture.WithStem(weight.Shape[3] == stem.ImageNetKernel ? Stem.ImageNet : Stem.Small);
    }

    private static Dictionary<string, SafetensorsEntry> OwnNames(Network network, SafetensorsFile file)
    {
        var own = network.State().Select(entry => entry.Name).ToHashSet();
        var entries = new Dictionary<string, SafetensorsEntry>();
        foreach (var entry in file.Entries)
        {
            var name = WithoutPrefix(entry.Name);
            entries[own.Contains(name) ? name : TimmNames.ToTorchvision(name, own)] = entry;
        }
        return entries;
    }

    private static string WithoutPrefix(string name)
    {
        while (Array.Find(Prefixes, prefix => name.StartsWith(prefix, StringComparison.Ordinal)) is { } prefix)
            name = name[prefix.Length..];
        return name;
    }

    private static Tensor? Fit(Conv2d? firstConvolution, Tensor tensor, Tensor values)
    {
        if (tensor.is_floating_point() != values.is_floating_point())
            return null;
        if (tensor.shape.SequenceEqual(values.shape))
            return values;
        // A 1x1 convolution of one pixel is a linear layer, and a scale for each channel may have axes to broadcast over.
        if (tensor.shape.Where(size => size > 1).SequenceEqual(values.shape.Where(size => size > 1)))
            return values.reshape(tensor.shape);
        if (ReferenceEquals(tensor, firstConvolution?.weight) && values.ndim == 4 && tensor.shape.AsSpan(2).SequenceEqual(values.shape.AsSpan(2)) && tensor.shape[0] == values.shape[0])
        {
            return (tensor.shape[1], values.shape[1]) switch
            {
                (1, 3) => values.@float().sum(1, keepdim: true),
                (3, 1) => values.@float().expand(-1, 3, -1, -1).Over(3),
                _ => null,
            };
        }
        return null;
    }

    private static Tensor? FitPositions(VisionTransformer network, Tensor values, ImageShape? trainedOn)
    {
        if (!values.is_floating_point() || values.ndim != 3 || values.shape[2] != network.Positions.shape[2])
            return null;
        var patches = values.shape[1] - 1;
        var side = (int)Math.Sqrt(patches);
        (int Height, int Width)[] known = trainedOn is { } shape ? [network.GridOf(shape)] : [];
        var grid = known.Append((Height: side, Width: side)).Append(network.Grid)
            .FirstOrDefault(grid => (long)grid.Height * grid.Width == patches);
        return grid.Height == 0 ? null
            : grid == network.Grid ? values
            : Interpolate(values.@float(), grid, network.Grid);
    }

    private static Tensor Interpolate(Tensor positions, (int Height, int Width) from, (int Height, int Width) to)
    {
        var patches = positions[.., 1..].reshape(1, from.Height, from.Width, -1).permute(0, 3, 1, 2);
        var resized = F.interpolate(patches, [to.Height, to.Width], mode: InterpolationMode.Bicubic, align_corners: false);
        return cat([positions[.., ..1], resized.flatten(2).transpose(1, 2)], 1);
    }
}
