using System.Runtime.CompilerServices;
using Microsoft.ML.Flooding.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Tests;

/// <summary>
/// The threads of libtorch. By default it is one, here and in the processes that the tests start: most of the networks are so small that
/// waiting for a second thread takes longer than its work. Tests whose result must not depend on threads use all cores.
/// </summary>
internal sealed class Threads : IDisposable
{
    private const string Variable = "OMP_NUM_THREADS";

    private readonly int _before = get_num_threads();

    private Threads() => set_num_threads(Environment.ProcessorCount);

    /// <summary>Uses all cores until the result is disposed of.</summary>
    public static Threads UseAll() => new();

    /// <summary>Before libtorch is loaded, because OpenMP reads the variable only then.</summary>
    [ModuleInitializer]
    internal static void UseOne()
    {
        Environment.SetEnvironmentVariable(Variable, Environment.GetEnvironmentVariable(Variable) ?? "1");
        NativeEnvironment.SetDefault(Variable, "1");
    }

    public void Dispose() => set_num_threads(_before);
}
