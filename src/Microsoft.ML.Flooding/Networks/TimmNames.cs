using System.Globalization;
using System.Text.RegularExpressions;

namespace Microsoft.ML.Flooding.Networks;

/// <summary>Translates timm's names of tensors to torchvision's. The names in their ResNets are the same.</summary>
internal static partial class TimmNames
{
    /// <summary>torchvision's name of a tensor. A name that is not timm's is returned unchanged.</summary>
    /// <param name="name">The name in the file.</param>
    /// <param name="own">The names in the network, which identify its architecture.</param>
    public static string ToTorchvision(string name, IReadOnlySet<string> own)
    {
        if (own.Contains("features.1.0.layer_scale"))
            return ConvNeXt(name);
        return own.Contains("features.0.0.weight") ? MobileNet(name, own) : name;
    }

    private static string ConvNeXt(string name)
    {
        if (ConvNeXtBlock().Match(name) is { Success: true } block)
        {
            var part = block.Groups["part"].Value switch
            {
                "gamma" => "layer_scale",
                var rest => rest
                    .Replace("conv_dw.", "block.0.", StringComparison.Ordinal)
                    .Replace("norm.", "block.2.", StringComparison.Ordinal)
                    .Replace("mlp.fc1.", "block.3.", StringComparison.Ordinal)
                    .Replace("mlp.fc2.", "block.5.", StringComparison.Ordinal),
            };
            return $"features.{(2 * Number(block, "stage")) + 1}.{Number(block, "block")}.{part}";
        }
        if (ConvNeXtDownsample().Match(name) is { Success: true } downsample)
            return $"features.{2 * Number(downsample, "stage")}.{downsample.Groups["part"].Value}";
        return Renamed(name, ("stem.", "features.0."), ("head.norm.", "classifier.0."), ("head.fc.", "classifier.2."));
    }

    private static string MobileNet(string name, IReadOnlySet<string> own)
    {
        var layers = own.Where(entry => entry.StartsWith("features.", StringComparison.Ordinal))
            .Select(entry => entry.Split('.')[1]).Distinct().Count();
        var last = $"features.{layers - 1}.";
        var isV3 = own.Contains("classifier.3.weight");
        if (MobileNetBlock().Match(name) is not { Success: true } match)
        {
            return Renamed(
                name,
                ("conv_stem.", "features.0.0."),
                ("bn1.", "features.0.1."),
                ("bn2.", last + "1."),
                ("conv_head.", isV3 ? "classifier.0." : last + "0."),
                ("classifier.", isV3 ? "classifier.3." : "classifier.1."));
        }
        var (stage, block, part) = (Number(match, "stage"), Number(match, "block"), match.Groups["part"].Value);
        if (part.StartsWith("conv.", StringComparison.Ordinal))
            return last + "0." + part["conv.".Length..];
        // EfficientNet has timm's stages; the MobileNets number their blocks consecutively.
        var keepsStages = own.Contains("features.1.0.block.0.0.weight");
        int[] blocks = !isV3 ? [1, 2, 3, 4, 3, 3, 1]
            : own.Contains("features.15.block.0.0.weight") ? [1, 2, 3, 4, 2, 3]
            : [1, 2, 3, 2, 3];
        if (isV3 && stage == blocks.Length)
            return last + (part.StartsWith("bn1.", StringComparison.Ordinal) ? "1." + part["bn1.".Length..] : part);
        var prefix = keepsStages
            ? string.Create(CultureInfo.InvariantCulture, $"features.{stage + 1}.{block}.")
            : string.Create(CultureInfo.InvariantCulture, $"features.{1 + blocks.Take(stage).Sum() + block}.");
        var isV2 = own.Contains(prefix + "conv.0.0.weight");
        var expands = stage > 0;
        var excited = own.Contains($"{prefix}block.{(expands ? 2 : 1)}.fc1.weight");
        var filter = expands ? 1 : 0;
        var project = filter + (excited ? 2 : 1);
        var container = isV2 ? "conv" : "block";
        var (projection, norm) = isV2 ? ($"{project}.", $"{project + 1}.") : ($"{project}.0.", $"{project}.1.");
        return prefix + Renamed(part, expands
            ?
            [
                ("conv_pw.", $"{container}.0.0."),
                ("bn1.", $"{container}.0.1."),
                ("conv_dw.", $"{container}.1.0."),
                ("bn2.", $"{container}.1.1."),
                ("se.conv_reduce.", "block.2.fc1."),
                ("se.conv_expand.", "block.2.fc2."),
                ("conv_pwl.", $"{container}.{projection}"),
                ("bn3.", $"{container}.{norm}"),
            ]
            :
            [
                ("conv_dw.", $"{container}.0.0."),
                ("bn1.", $"{container}.0.1."),
                ("se.conv_reduce.", "block.1.fc1."),
                ("se.conv_expand.", "block.1.fc2."),
                ("conv_pw.", $"{container}.{projection}"),
                ("bn2.", $"{container}.{norm}"),
            ]);
    }

    private static string Renamed(string name, params (string From, string To)[] prefixes)
    {
        foreach (var (from, to) in prefixes)
        {
            if (name.StartsWith(from, StringComparison.Ordinal))
                return to + name[from.Length..];
        }
        return name;
    }

    private static int Number(Match match, string group) =>
        int.TryParse(match.Groups[group].ValueSpan, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number < 100
            ? number
            : 99;

    [GeneratedRegex(@"^stages\.(?<stage>\d+)\.blocks\.(?<block>\d+)\.(?<part>.+)$")]
    private static partial Regex ConvNeXtBlock();

    [GeneratedRegex(@"^stages\.(?<stage>\d+)\.downsample\.(?<part>.+)$")]
    private static partial Regex ConvNeXtDownsample();

    [GeneratedRegex(@"^blocks\.(?<stage>\d+)\.(?<block>\d+)\.(?<part>.+)$")]
    private static partial Regex MobileNetBlock();
}
