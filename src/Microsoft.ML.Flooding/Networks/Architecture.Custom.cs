using Microsoft.ML.Flooding.Images;
using Microsoft.ML.Flooding.Networks;
using TorchSharp;

namespace Microsoft.ML.Flooding;

/// <content>Networks that are not built in.</content>
public sealed partial class Architecture
{
    /// <summary>A network that a function of your application creates.</summary>
    /// <param name="name">
    /// The name of the network in model files. An application that loads such a model must first call this method with the same name and a
    /// factory for the same network. A later factory replaces an earlier one with the same name.
    /// </param>
    /// <param name="factory">
    /// From the number of classes and the number of channels to a module that maps images [N, C, H, W] to logits [N, classes]. It is called
    /// more than once and must create the same layers each time. Initial values that it draws from the global generator are determined by
    /// the seed of the training run.
    /// </param>
    /// <exception cref="ArgumentException"><paramref name="name"/> is null, empty or white space.</exception>
    /// <exception cref="ArgumentNullException"><paramref name="factory"/> is null.</exception>
    public static Architecture FromFactory(string name, Func<int, int, torch.nn.Module<torch.Tensor, torch.Tensor>> factory)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(name);
        ArgumentNullException.ThrowIfNull(factory);
        return new(CustomArchitectures.Register(name, factory));
    }

    /// <summary>
    /// A TorchScript module that <c>torch.jit.save</c> wrote. Training starts from its weights, and model files contain a copy of it.
    /// </summary>
    /// <param name="path">The file. Use only scripts from sources that you trust.</param>
    /// <param name="inputSize">The side of the square images that the module expects, from 1 to 65,535.</param>
    /// <param name="mean">The mean of each channel, which is subtracted from values from 0 to 1. Default: that of ImageNet.</param>
    /// <param name="deviation">
    /// The standard deviation of each channel, which the difference is divided by: as many values as <paramref name="mean"/>, all above 0.
    /// Default: that of ImageNet.
    /// </param>
    /// <remarks>
    /// The module maps images [N, C, H, W] to logits [N, classes], with the number of classes of the training data.
    /// </remarks>
    /// <exception cref="ArgumentException">
    /// <paramref name="mean"/> and <paramref name="deviation"/> have different lengths, or a deviation is not above 0.
    /// </exception>
    /// <exception cref="ArgumentOutOfRangeException"><paramref name="inputSize"/> is outside its range.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    /// <exception cref="InvalidDataException">The file is not a TorchScript module.</exception>
    /// <exception cref="InvalidOperationException">
    /// libtorch cannot be loaded; the message names the required package or C++ runtime.
    /// </exception>
    public static Architecture FromTorchScript(
        string path, int inputSize, IReadOnlyList<float>? mean = null, IReadOnlyList<float>? deviation = null)
    {
        ArgumentNullException.ThrowIfNull(path);
        if (inputSize is < 1 or > ImageShape.LongestSide)
        {
            throw new ArgumentOutOfRangeException(
                nameof(inputSize), inputSize, $"The input size must be from 1 to {ImageShape.LongestSide}.");
        }
        mean ??= Preprocessing.ImageNet.Mean;
        deviation ??= Preprocessing.ImageNet.Deviation;
        if (mean.Count == 0 || mean.Count != deviation.Count || !mean.All(float.IsFinite)
            || !deviation.All(value => value > 0 && float.IsFinite(value)))
            throw new ArgumentException("Set a finite mean and a finite deviation above 0 for each channel.", nameof(deviation));
        var preprocessing = new Preprocessing(inputSize, inputSize, CenterCrop: 1, [.. mean], [.. deviation]);
        return new(CustomArchitectures.OpenScript(path, preprocessing));
    }

    /// <summary>
    /// The network of an ONNX file, with its weights. It is trained like a built-in network, and model files contain everything needed to
    /// load it.
    /// </summary>
    /// <param name="path">The file, with an opset from 7 to 21.</param>
    /// <param name="input">How the network takes its images. Default: <see cref="OnnxInput.ImageNet"/>.</param>
    /// <remarks>
    /// <para>The network maps images to logits or probabilities [N, classes], or to features. If your data has another number of classes,
    /// the last linear layer is replaced. If the network ends in features, a linear layer is added. A fixed batch size in the file is
    /// ignored.</para>
    /// <para>Images are resized to the size that the file specifies and prepared according to <paramref name="input"/>.</para>
    /// </remarks>
    /// <exception cref="ArgumentException">A setting of <paramref name="input"/> is out of its range; the message names it.</exception>
    /// <exception cref="InvalidDataException">The file is damaged or has an unsupported operator; the message names the node.</exception>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static Architecture FromOnnx(string path, OnnxInput? input = null)
    {
        ArgumentNullException.ThrowIfNull(path);
        return new(CustomArchitectures.OpenGraph(path, input ?? OnnxInput.ImageNet));
    }

    /// <summary>
    /// The ResNet-18 of the package <c>Microsoft.ML.DnnImageFeaturizer.ResNet18</c>, trained on ImageNet, with its preprocessing for images
    /// of 224 x 224 pixels. An application needs the package for training, but not to load the trained model.
    /// </summary>
    /// <exception cref="FileNotFoundException">
    /// The application's folder does not contain the package's files; the message says what to do.
    /// </exception>
    public static Architecture FromDnnImageFeaturizerResNet18()
    {
        var (network, preparation) = DnnImageFeaturizer.ResNet18(AppContext.BaseDirectory);
        return FromOnnx(network, OnnxInput.Pixels with { PreprocessingGraph = preparation });
    }
}
