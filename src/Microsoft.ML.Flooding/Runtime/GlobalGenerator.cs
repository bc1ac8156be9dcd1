using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Runtime;

/// <summary>
/// libtorch's global random generator. An application's own modules draw from it. It belongs to the whole process, so it is seeded for one
/// piece of work at a time and restored afterward.
/// </summary>
internal static class GlobalGenerator
{
    private static readonly Lock Gate = new();

    /// <summary>Runs work that draws from the global generator, which is seeded first. Other threads that call this method wait.</summary>
    /// <param name="seed">The seed.</param>
    /// <param name="device">The device that the work computes on.</param>
    /// <param name="work">The work.</param>
    /// <remarks>
    /// The CPU's generator gets its previous state back. TorchSharp cannot read the state of a GPU's generator, so a seed is drawn from
    /// that one first and set afterward: what the application draws later still follows from the seed that the application set.
    /// </remarks>
    public static T Seeded<T>(long seed, Device device, Func<T> work)
    {
        lock (Gate)
        {
            using var global = Generator.Default;
            using var before = global.get_state();
            // manual_seed would look for CUDA each time.
            using (var seeded = new Generator((ulong)seed))
            using (var state = seeded.get_state())
                global.set_state(state);
            long? next = null;
            if (device.type == DeviceType.CUDA)
            {
                using var drawn = randint(long.MaxValue, 1, ScalarType.Int64, device);
                next = drawn.item<long>();
                cuda.manual_seed_all(seed);
            }
            try
            {
                return work();
            }
            finally
            {
                global.set_state(before);
                if (next is { } continued)
                    cuda.manual_seed_all(continued);
            }
        }
    }
}
