using System.Reflection;

namespace Microsoft.ML.Flooding.Tests.Pipeline;

[TestClass]
public sealed class CallShapeTests
{
    /// <summary>Name, type and default of the parameters of ML.NET's ImageClassification that follow the catalog.</summary>
    private static readonly (string Name, Type Type, object? Default)[] ImageClassification =
    [
        ("labelColumnName", typeof(string), "Label"),
        ("featureColumnName", typeof(string), "Features"),
        ("scoreColumnName", typeof(string), "Score"),
        ("predictedLabelColumnName", typeof(string), "PredictedLabel"),
        ("validationSet", typeof(IDataView), null),
    ];

    [TestMethod]
    [DataRow(typeof(TransformsCatalog))]
    [DataRow(typeof(MulticlassClassificationCatalog.MulticlassClassificationTrainers))]
    public void A_call_of_ImageClassification_becomes_flooded_by_its_name_and_b(Type catalog)
    {
        var parameters = typeof(FloodingCatalog).GetMethods(BindingFlags.Public | BindingFlags.Static)
            .Select(m => m.GetParameters()).Single(p => p[0].ParameterType == catalog && p[1].Name == "b");
        Assert.AreEqual(typeof(float), parameters[1].ParameterType);
        Assert.AreEqual(new FloodedImageClassificationTrainer.Options().FloodLevel, parameters[1].DefaultValue);
        CollectionAssert.AreEqual(ImageClassification, parameters[2..].Select(p => (p.Name!, p.ParameterType, p.DefaultValue)).ToArray());
    }

    [TestMethod]
    public void The_short_form_trains_a_pipeline_written_for_ImageClassification()
    {
        var context = new MLContext(seed: 1);
        var data = FashionMnistData.Train(context, 20);
        var validation = FashionMnistData.Test(context, 20);
        var trainer = context.MulticlassClassification.Trainers.FloodedImageClassification(
            b: 0.05f, labelColumnName: "Label", featureColumnName: "Features", scoreColumnName: "Score",
            predictedLabelColumnName: "PredictedLabel", validationSet: validation);
        using var model = trainer.Fit(data);
        Assert.AreEqual(0.05f, model.FloodLevel);
        Assert.AreEqual(Architecture.ConvNet, model.Architecture, "what Auto gives for small images");
        Assert.IsNotNull(model.History.Epochs[0].ValidationLoss);
    }
}
