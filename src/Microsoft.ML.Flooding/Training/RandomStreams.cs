using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Training;

/// <summary>
/// Independent generators for everything random in a run. Each depends on the seed, the purpose and the epoch only: a resumed run needs no
/// generator state, and one use of randomness cannot shift another. All are CPU generators, because TorchSharp makes no others; the values
/// are copied to the device.
/// </summary>
internal static class RandomStreams
{
    public static Generator Create(long seed, Purpose purpose, int epoch) => new((ulong)Derive(seed, purpose, epoch));

    /// <summary>The seed of one use of randomness, such as an auxiliary run.</summary>
    public static long Derive(long seed, Purpose purpose, int index) => (long)Mix(Mix(Mix((ulong)seed) ^ (ulong)purpose) ^ (uint)index);

    /// <summary>SplitMix64 (Steele, Lea and Flood, 2014).</summary>
    private static ulong Mix(ulong x)
    {
        x += 0x9E3779B97F4A7C15;
        x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
        x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
        return x ^ (x >> 31);
    }

    public enum Purpose : ulong
    {
        Weights = 1,
        Order = 2,
        Augmentation = 3,
        Dropout = 4,
        ValidationSplit = 5,
        AuxiliaryFolds = 6,
        AuxiliaryValidation = 7,
        HeadFolds = 8,
        Rank = 9,
    }
}
