using Microsoft.ML.Data;
using Microsoft.ML.Trainers;

namespace Microsoft.ML.Flooding.Tests.Pipeline;

/// <summary>The trainer and the transformer in code for any ML.NET trainer.</summary>
[TestClass]
public sealed class TrainerEstimatorTests
{
    private readonly MLContext _context = new(seed: 1);

    [TestMethod]
    public void A_helper_for_any_trainer_of_MLNET_fits_it_and_reads_its_model()
    {
        var data = FashionMnistData.Train(_context, 60);
        var (info, transformer) = FitWithoutCache(_context.Transforms.FloodedImageClassification(ShortRun.Options()), data);
        using var model = transformer;
        Assert.IsFalse(info.NeedNormalization);

        Assert.AreEqual("Features", model.FeatureColumnName);
        Assert.AreEqual(model.Architecture, model.Model.Architecture);
        CollectionAssert.AreEqual(
            new[] { "layers.0.linear.weight [32, 784]", "fc.weight [10, 32]" },
            model.Model.Shapes.Where(s => s.Value.Count == 2).Select(s => $"{s.Key} [{string.Join(", ", s.Value)}]").ToArray());
        foreach (var (name, shape) in model.Model.Shapes)
            Assert.HasCount((int)shape.Aggregate(1L, (product, size) => product * size), model.Model.GetValues(name));
        StringAssert.Contains(Assert.ThrowsExactly<ArgumentException>(() => model.Model.GetValues("none")).Message, "'none'");
        var parameters = model.Model;
        model.Dispose();
        Assert.ThrowsExactly<ObjectDisposedException>(() => parameters.Shapes);
    }

    [TestMethod]
    public void The_type_of_the_image_column_is_saved_with_the_model()
    {
        var data = FashionMnistData.Train(_context, 60);
        using var model = ShortRun.Fit(_context, data);
        using var loaded = (FloodedImageClassificationTransformer)Single(SavedModel.Load(SavedModel.Save(_context, model, data.Schema)));
        var (column, saved) = ((VectorDataViewType)data.Schema["Features"].Type, (VectorDataViewType)loaded.FeatureColumnType);
        Assert.AreEqual(column.ItemType, saved.ItemType);
        Assert.AreEqual(column.Size, saved.Size);
        Assert.AreEqual(model.FeatureColumnType, loaded.FeatureColumnType);
    }

    [TestMethod]
    public void A_chain_with_a_cache_checkpoint_before_the_trainer_gives_the_same_model()
    {
        var data = FashionMnistData.Train(_context, 60);
        var copy = _context.Transforms.CopyColumns("Copy", "Id");
        using var plain = copy.Append(_context.Transforms.FloodedImageClassification(ShortRun.Options())).Fit(data);
        using var cached = copy.AppendCacheCheckpoint(_context)
            .Append(_context.Transforms.FloodedImageClassification(ShortRun.Options())).Fit(data);
        CollectionAssert.AreEqual(
            plain.LastTransformer.Model.GetValues(LastBias(plain)), cached.LastTransformer.Model.GetValues(LastBias(cached)));
    }

    [TestMethod]
    public void Cross_validation_trains_a_model_for_each_fold()
    {
        var data = FashionMnistData.Train(_context, 90);
        var results = _context.MulticlassClassification.CrossValidate(
            data, _context.Transforms.FloodedImageClassification(ShortRun.Options()), numberOfFolds: 3);
        Assert.HasCount(3, results.ToArray());
        foreach (var result in results)
        {
            Assert.IsInRange(0, 1, result.Metrics.MicroAccuracy);
            using var model = (IDisposable)result.Model;
        }
    }

#pragma warning disable CA1859 // The test is that generic code over the interface compiles.
    private static (TrainerInfo Info, TTransformer Model) FitWithoutCache<TTransformer, TModel>(
        ITrainerEstimator<TTransformer, TModel> trainer, IDataView data)
        where TTransformer : ISingleFeaturePredictionTransformer<TModel>
        where TModel : class
    {
        Assert.IsFalse(trainer.Info.WantCaching);
        var model = trainer.Fit(data);
        Assert.IsNotNull(model.Model);
        Assert.IsNotNull(data.Schema.GetColumnOrNull(model.FeatureColumnName));
        return (trainer.Info, model);
    }
#pragma warning restore CA1859

    private static string LastBias(TransformerChain<FloodedImageClassificationTransformer> chain) =>
        chain.LastTransformer.Model.Shapes[^1].Key;

    private static ITransformer Single(ITransformer model) => model is IEnumerable<ITransformer> chain ? chain.Single() : model;
}
