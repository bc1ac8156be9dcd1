namespace Microsoft.ML.Flooding.Networks;

/// <summary>The ONNX files that ML.NET's <c>Microsoft.ML.DnnImageFeaturizer</c> packages copy to an application's folder.</summary>
internal static class DnnImageFeaturizer
{
    private const string Folder = "DnnImageModels";
    private const string ResNet18Package = "Microsoft.ML.DnnImageFeaturizer.ResNet18";

    /// <summary>The files of ResNet-18: the network and the graph that prepares its images.</summary>
    /// <param name="folder">The application's folder.</param>
    /// <exception cref="FileNotFoundException">A file does not exist; the message says which package contains it.</exception>
    public static (string Network, string Preprocessing) ResNet18(string folder)
    {
        return (Find("ResNet18Onnx", "ResNet18.onnx"), Find("ResNetPrepOnnx", "ResNetPreprocess.onnx"));

        string Find(string part, string name)
        {
            var path = Path.Combine(folder, Folder, part, name);
            return File.Exists(path) ? path : throw new FileNotFoundException(
                $"The application's folder does not contain '{Path.Combine(Folder, part, name)}'. Add its package: "
                + $"dotnet add package {ResNet18Package}.",
                path);
        }
    }
}
