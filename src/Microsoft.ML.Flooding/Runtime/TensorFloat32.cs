using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Runtime;

/// <summary>
/// Lets a GPU round the factors of float32 products and convolutions to TF32 (10 bits of mantissa) until the last holder is done: several times as fast from
/// NVIDIA's Ampere on, no difference elsewhere. The application's own settings, which are the process's, come back then.
/// </summary>
internal sealed class TensorFloat32 : IDisposable
{
    private static readonly Lock Gate = new();
    private static (bool Products, bool Convolutions) _outside;
    private static int _holders;
    private bool _ended;

    /// <summary>Begins it where <paramref name="device"/> is a GPU; null elsewhere.</summary>
    public static TensorFloat32? Begin(Device device)
    {
        if (device.type != DeviceType.CUDA)
            return null;
        lock (Gate)
        {
            if (_holders++ == 0)
            {
                _outside = (backends.cuda.matmul.allow_tf32, backends.cudnn.allow_tf32);
                Allow((true, true));
            }
        }
        return new TensorFloat32();
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        lock (Gate)
        {
            if (_ended)
                return;
            _ended = true;
            if (--_holders == 0)
                Allow(_outside);
        }
    }

    private static void Allow((bool Products, bool Convolutions) setting) =>
        (backends.cuda.matmul.allow_tf32, backends.cudnn.allow_tf32) = setting;
}
