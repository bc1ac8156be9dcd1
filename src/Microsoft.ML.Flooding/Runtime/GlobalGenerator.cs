using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Runtime;

/// <summary>
/// libtorch's global random generator. Modules that an application brings draw from it, and it belongs to the whole process: it is
/// seeded for one piece of work at a time and then put back.
/// </summary>
internal static class GlobalGenerator
{
    private static readonly Lock Gate = new();

    /// <summary>Runs work that draws from a seeded global generator. Other threads that call this wait.</summary>
    /// <param name="seed">Decides what the work draws.</param>
    /// <param name="device">Where the work computes.</param>
    /// <param name="work">What to run.</param>
    /// <remarks>
    /// The CPU's generator has its old state afterwards. TorchSharp cannot read the state of a GPU's generator, so that one continues
    /// from a seed that is drawn from it first: what the application draws later still follows from the seed that the application set.
    /// </remarks>
    public static T Seeded<T>(long seed, Device device, Func<T> work)
    {
        lock (Gate)
        {
            using var global = Generator.Default;
            using var before = global.get_state();
            // Not by manual_seed, which looks for CUDA each time.
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
