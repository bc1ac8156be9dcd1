using System.Globalization;

namespace Microsoft.ML.Flooding.Tests.Scoring;

/// <summary>The number of fuzz cases and their seed, from the environment variables FLOODING_FUZZ_CASES and FLOODING_FUZZ_SEED.</summary>
internal static class Fuzzing
{
    public static int Cases { get; } = Read("FLOODING_FUZZ_CASES", 10_000);

    /// <summary>By default a new seed each day, so that later runs can find more. Every target prints it.</summary>
    public static int Seed { get; } = Read("FLOODING_FUZZ_SEED", (int)(DateTime.UtcNow - DateTime.UnixEpoch).TotalDays);

    /// <summary>Damages a file in one of many ways: flips bits, or sets, cuts, doubles, swaps, drops or appends bytes.</summary>
    public static byte[] Mutate(byte[] original, Random random)
    {
        var bytes = (byte[])original.Clone();
        for (var times = 1 + random.Next(3); times > 0 && bytes.Length > 0; times--)
        {
            var at = random.Next(bytes.Length);
            var length = Math.Min(1 + random.Next(64), bytes.Length - at);
            switch (random.Next(7))
            {
                case 0 or 1:
                    bytes[at] ^= (byte)(1 << random.Next(8));
                    break;
                case 2:
                    bytes[at] = random.Next(4) switch { 0 => 0, 1 => 0xFF, 2 => 0x7F, _ => (byte)random.Next(256) };
                    break;
                case 3:
                    bytes = bytes[..at];
                    break;
                case 4:
                    bytes = [.. bytes[..(at + length)], .. bytes[at..]];
                    break;
                case 5:
                    bytes = [.. bytes[..at], .. bytes[(at + length)..]];
                    break;
                default:
                    random.NextBytes(bytes.AsSpan(at, Math.Min(length, 4)));
                    break;
            }
        }
        return bytes;
    }

    private static int Read(string name, int otherwise) =>
        int.TryParse(Environment.GetEnvironmentVariable(name), CultureInfo.InvariantCulture, out var value) ? value : otherwise;
}
