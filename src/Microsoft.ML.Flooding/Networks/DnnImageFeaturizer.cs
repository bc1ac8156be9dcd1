namespace Microsoft.ML.Flooding.Networks;

/// <summary>The ONNX files that ML.NET's packages <c>Microsoft.ML.DnnImageFeaturizer</c> put beside an application.</summary>
internal static class DnnImageFeaturizer
{
    private const string Folder = "DnnImageModels";
    private const string ResNet18Package = "Microsoft.ML.DnnImageFeaturizer.ResNet18";

    /// <summary>The files of ResNet-18: the network, and the graph that prepares its images.</summary>
    /// <param name="folder">The application's.</param>
    /// <exception cref="FileNotFoundException">A file is not there; the message says which package has it.</exception>
    public static (string Network, string Preprocessing) ResNet18(string folder)
    {
        return (Find("ResNet18Onnx", "ResNet18.onnx"), Find("ResNetPrepOnnx", "ResNetPreprocess.onnx"));

        string Find(string part, string name)
        {
            var path = Path.Combine(folder, Folder, part, name);
            return File.Exists(path) ? path : throw new FileNotFoundException(
                $"There is no '{Path.Combine(Folder, part, name)}' in the application's folder. " +
                $"Add the package that has it: dotnet add package {ResNet18Package}.", path);
        }
    }
}
