using System.Text.Json;
using Microsoft.ML.OnnxRuntime;
using Microsoft.ML.OnnxRuntime.Tensors;
using OnnxScoring;

if (args.Length is not (1 or 2))
{
    Console.Error.WriteLine("Usage: OnnxScoring MODEL.onnx [FOLDER]");
    Console.Error.WriteLine("FOLDER has t10k-images-idx3-ubyte.gz and t10k-labels-idx1-ubyte.gz.");
    Console.Error.WriteLine("Default: 1,000 test images of Fashion-MNIST.");
    return 2;
}

const int BatchSize = 100;
string[] classes = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"];
var folder = args.ElementAtOrDefault(1) ?? Path.Combine(AppContext.BaseDirectory, "data");
var images = IdxFile.Read(Path.Combine(folder, "t10k-images-idx3-ubyte.gz"));
var truth = IdxFile.Read(Path.Combine(folder, "t10k-labels-idx1-ubyte.gz")).Values;
var (count, height, width) = (images.Sizes[0], images.Sizes[1], images.Sizes[2]);

using var session = new InferenceSession(args[0]);
var labels = JsonSerializer.Deserialize<string[]>(session.ModelMetadata.CustomMetadataMap["labels"])!;
var correct = 0;
for (var start = 0; start < count; start += BatchSize)
{
    var rows = Math.Min(BatchSize, count - start);

    // Pixels are 0 to 255. The model normalizes them.
    var pixels = images.Values.AsSpan(start * height * width, rows * height * width).ToArray();
    var input = new DenseTensor<float>(Array.ConvertAll(pixels, value => (float)value), [rows, 1, height, width]);
    using var results = session.Run([NamedOnnxValue.CreateFromTensor("image", input)]);
    foreach (var (row, probabilities) in results.Single().AsEnumerable<float>().Chunk(labels.Length).Index())
    {
        var label = labels[Array.IndexOf(probabilities, probabilities.Max())];
        Console.WriteLine(label);
        if (label == classes[truth[start + row]])
            correct++;
    }
}
Console.WriteLine($"{correct} of {count} are correct: {(double)correct / count:P1}");
return 0;
