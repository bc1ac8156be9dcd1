using static TorchSharp.torch;

/// <summary>Halts a training in the middle of a step, so that a test can kill the process there, however slow the machine is.</summary>
internal static class Halt
{
    private static int _calls;

    /// <summary>Halts the thread that trains.</summary>
    /// <param name="call">The number of the call that halts, from 1, over all networks that the process trains.</param>
    /// <param name="network">A network that the factory of an architecture makes.</param>
    /// <param name="announce">Called before the halt.</param>
    public static nn.Module<Tensor, Tensor> At(int call, nn.Module<Tensor, Tensor> network, Action announce)
    {
        network.register_forward_pre_hook((_, images) =>
        {
            if (++_calls == call)
            {
                announce();
                Thread.Sleep(Timeout.Infinite);
            }
            return images;
        });
        return network;
    }
}
