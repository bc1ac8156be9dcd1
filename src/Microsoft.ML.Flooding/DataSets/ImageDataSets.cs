using Microsoft.ML.Flooding.Runtime;

namespace Microsoft.ML.Flooding;

/// <summary>
/// The six data sets of the flooding paper (Ishida et al., ICML 2020). Only <see cref="ImageDataSet.Download"/> downloads files.
/// </summary>
/// <remarks>
/// Addresses are those of the publishers or of public mirrors. Lengths and digests were taken from TensorFlow Datasets.
/// </remarks>
public static class ImageDataSets
{
    /// <summary>Handwritten digits (LeCun et al., 1998).</summary>
    public static ImageDataSet Mnist { get; } = new(
        "mnist", "handwritten digits: 60,000 training and 10,000 test images, gray, 28 x 28",
        Idx(
            "https://storage.googleapis.com/cvdf-datasets/mnist/",
            (9_912_422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"),
            (28_881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
            (1_648_877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"),
            (4_542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6")),
        DataSetCatalog.LoadFromMnist);

    /// <summary>Clothes (Xiao et al., 2017).</summary>
    public static ImageDataSet FashionMnist { get; } = new(
        "fashion-mnist", "clothes: 60,000 training and 10,000 test images of 10 classes, gray, 28 x 28",
        Idx(
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            (26_421_880, "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
            (29_515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
            (4_422_102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
            (5_148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5")),
        DataSetCatalog.LoadFromFashionMnist);

    /// <summary>Characters of old Japanese books (Clanuwat et al., 2018).</summary>
    public static ImageDataSet KuzushijiMnist { get; } = new(
        "kuzushiji-mnist", "old Japanese characters: 60,000 training and 10,000 test images of 10 classes, gray, 28 x 28",
        Idx(
            "http://codh.rois.ac.jp/kmnist/dataset/kmnist/",
            (18_165_135, "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4"),
            (29_497, "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17"),
            (3_041_136, "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5"),
            (5_120, "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c")),
        DataSetCatalog.LoadFromKuzushijiMnist);

    /// <summary>Small photos of 10 classes (Krizhevsky, 2009).</summary>
    public static ImageDataSet Cifar10 { get; } = new(
        "cifar10", "photos: 50,000 training and 10,000 test images of 10 classes, color, 32 x 32",
        [new(new Uri("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"), 170_052_171,
            "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd")],
        DataSetCatalog.LoadFromCifar10);

    /// <summary>Small photos of 100 classes (Krizhevsky, 2009).</summary>
    public static ImageDataSet Cifar100 { get; } = new(
        "cifar100", "photos: 50,000 training and 10,000 test images of 100 classes, color, 32 x 32",
        [new(new Uri("https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz"), 168_513_733,
            "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec")],
        DataSetCatalog.LoadFromCifar100);

    /// <summary>Digits of house numbers (Netzer et al., 2011).</summary>
    public static ImageDataSet Svhn { get; } = new(
        "svhn", "digits of house numbers: 73,257 training and 26,032 test images, color, 32 x 32",
        [
            new(new Uri("http://ufldl.stanford.edu/housenumbers/train_32x32.mat"), 182_040_794,
                "435e94d69a87fde4fd4d7f3dd208dfc32cb6ae8af2240d066de1df7508d083b8"),
            new(new Uri("http://ufldl.stanford.edu/housenumbers/test_32x32.mat"), 64_275_384,
                "cdce80dfb2a2c4c6160906d0bd7c68ec5a99d7ca4831afa54f09182025b6a75b"),
        ],
        DataSetCatalog.LoadFromSvhn);

    /// <summary>All of them.</summary>
    public static IReadOnlyList<ImageDataSet> All { get; } = [Mnist, FashionMnist, KuzushijiMnist, Cifar10, Cifar100, Svhn];

    private static RemoteFile[] Idx(string server, params (long Bytes, string Sha256)[] files) =>
        [.. DataSetCatalog.IdxNames.Zip(files, (name, file) => new RemoteFile(new Uri(server + name + ".gz"), file.Bytes, file.Sha256))];
}
