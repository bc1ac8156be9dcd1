using System.Reflection;
using Microsoft.ML.Data;
using Microsoft.ML.Flooding.Tests.Scoring;
using Options = Microsoft.ML.Flooding.FloodedImageClassificationTrainer.Options;

namespace Microsoft.ML.Flooding.Tests.Pipeline;

/// <summary>Extreme values of every number that can be set: each works, or an error names the number before training starts.</summary>
[TestClass]
public sealed class ExtremeOptionTests
{
    private static readonly double[] Doubles =
    [
        double.NaN, double.NegativeInfinity, double.PositiveInfinity, double.MinValue, double.MaxValue,
        float.MaxValue, 1e30, -1, -0.0, 0, double.Epsilon,
        float.Epsilon, 1e-30, Math.BitDecrement(1.0), 1, 2,
    ];

    private static readonly long[] Integers =
        [long.MinValue, int.MinValue, -1, 0, 1, 2, 3, ushort.MaxValue + 1, int.MaxValue, long.MaxValue];

    private readonly MLContext _context = new(seed: 1);

    public static IEnumerable<string> Numbers => Numeric(typeof(Options)).Select(p => p.Name);

    [TestMethod]
    [DynamicData(nameof(Numbers))]
    public void Options_work_or_are_refused_by_name(string name)
    {
        var property = typeof(Options).GetProperty(name)!;
        foreach (var value in Values(property.PropertyType))
            Try(name, value, o => property.SetValue(o, value));
    }

    [TestMethod]
    [DataRow(typeof(EarlyStopping))]
    [DataRow(typeof(WeightAveraging))]
    [DataRow(typeof(Augmentation))]
    public void Members_of_options_work_or_are_refused_by_name(Type type)
    {
        var option = typeof(Options).GetProperty(type.Name)!;
        foreach (var property in Numeric(type))
        {
            foreach (var value in Values(property.PropertyType))
                Try(property.Name, value, o =>
                {
                    var member = Activator.CreateInstance(type)!;
                    Set(property, member, value);
                    option.SetValue(o, member);
                });
        }
    }

    [TestMethod]
    public void Schedules_work_or_are_refused_by_name()
    {
        foreach (var value in Doubles)
        {
            Try("WarmUpEpochs", value, o => o.Schedule = LearningRateSchedule.Cosine with { WarmUpEpochs = value });
            Try("factor", value, o => o.Schedule = LearningRateSchedule.Step(value, 0.5));
            Try("milestones", value, o => o.Schedule = LearningRateSchedule.Step(0.5, value));
        }
    }

    [TestMethod]
    public void Objectives_work_or_are_refused_by_name()
    {
        foreach (var value in Doubles)
        {
            Try("sigma", value, o => o.Objective = FloodingObjective.SoftAscentDescent(value));
            Try("gamma", value, o => o.Objective = FloodingObjective.AdaFlood(value, 2));
            Try("levels", value, o => o.Objective = FloodingObjective.ClassWise([.. Enumerable.Repeat((float)value, RandomModel.Classes)]));
            Try("levels", value, o => o.FloodLevels = FloodLevels.Create((float)value));
            FloodingObjective[] objectives =
            [
                FloodingObjective.IndividualFlood, FloodingObjective.SoftAscentDescent(), FloodingObjective.SoftAscentDescent(1e-6),
                FloodingObjective.SoftAscentDescent(1e6), FloodingObjective.ClassWise(),
            ];
            foreach (var objective in objectives)
                Try("FloodLevel", value, o => (o.Objective, o.FloodLevel) = (objective, (float)value));
        }
        foreach (var value in Integers.Where(i => i is >= int.MinValue and <= int.MaxValue))
            Try("folds", value, o => o.Objective = FloodingObjective.AdaFlood(0.5, (int)value));
    }

    [TestMethod]
    public void Ranges_of_levels_work_or_are_refused_by_name()
    {
        string[] names = ["first", "last", "step"];
        foreach (var (first, last, step) in Doubles.SelectMany(f => Doubles.SelectMany(l => Doubles.Select(s => (f, l, s)))))
        {
            try
            {
                var levels = FloodLevels.Range((float)first, (float)last, (float)step).Values!;
                Assert.IsLessThanOrEqualTo(1001, levels.Count);
                Assert.IsTrue(levels.All(float.IsFinite) && levels[0] == 0);
                Assert.AreEqual((float)first, levels.First(l => l > 0 || first == 0 || (float)first == 0), $"{first} to {last} by {step}");
                Assert.IsLessThanOrEqualTo((float)last, levels[^1], $"{first} to {last} by {step}");
            }
            catch (ArgumentOutOfRangeException e)
            {
                CollectionAssert.Contains(names, e.ParamName);
            }
        }
        CollectionAssert.AreEqual(new[] { 0, 1e-30f, 2e-30f, 3e-30f }, FloodLevels.Range(1e-30f, 3e-30f, 1e-30f).Values!.ToArray());
        CollectionAssert.AreEqual(new[] { 0, 1e29f, 2e29f, 3e29f }, FloodLevels.Range(0, 3e29f, 1e29f).Values!.ToArray());
        CollectionAssert.AreEqual(new[] { 0, 0.1f, 0.2f, 0.3f }, FloodLevels.Range(0, 0.3f, 0.1f).Values!.ToArray());
        Assert.HasCount(1000, FloodLevels.Range(0, 9.99f, 0.01f).Values!);
    }

    [TestMethod]
    public void Architectures_have_a_name_that_reads_back_or_are_refused_by_name()
    {
        foreach (var value in Doubles)
            Check("multiplier", () => Architecture.MobileNetV2.WithWidthMultiplier(value));
        foreach (var value in Integers.Where(i => i is >= int.MinValue and <= int.MaxValue).Select(i => (int)i).Append(1024).Append(65_536))
        {
            Check("channels", () => Architecture.ConvNet.WithBaseWidth(value));
            Check("sizes", () => Architecture.Mlp.WithHiddenSizes(8, value));
            Check("inputSize", () => Architecture.FromTorchScript("missing.pt", value));
        }

        static void Check(string parameter, Func<Architecture> make)
        {
            try
            {
                var architecture = make();
                Assert.AreEqual(architecture, Architecture.Parse(architecture.Name));
            }
            catch (ArgumentOutOfRangeException e)
            {
                Assert.AreEqual(parameter, e.ParamName);
            }
            catch (FileNotFoundException) when (parameter == "inputSize")
            {
            }
        }
    }

    [TestMethod]
    public void Loss_landscapes_and_bins_work_or_are_refused_by_name()
    {
        var data = Data();
        using var model = ShortRun.Fit(_context, data);
        foreach (var property in Numeric(typeof(LossLandscapeOptions)))
        {
            foreach (var value in Values(property.PropertyType))
            {
                var options = new LossLandscapeOptions { Points = 3 };
                Set(property, options, value);
                try
                {
                    var landscape = model.LossLandscape(data, options: options);
                    Assert.IsTrue(double.IsFinite(landscape.Sharpness), $"{property.Name} = {value}: {landscape}");
                }
                catch (ArgumentOutOfRangeException e)
                {
                    Assert.AreEqual(property.Name, e.ParamName);
                }
            }
        }
        var scored = model.Transform(data);
        foreach (var bins in new[] { int.MinValue, 0, 10_001, int.MaxValue })
            Assert.AreEqual(
                "bins",
                Assert.ThrowsExactly<ArgumentOutOfRangeException>(
                    () => _context.MulticlassClassification.EvaluateCalibration(scored, bins: bins)).ParamName);
        Assert.HasCount(10_000, _context.MulticlassClassification.EvaluateCalibration(scored, bins: 10_000).Bins);
    }

    [TestMethod]
    [DataRow(60_000, 60_000)]
    [DataRow(65_535, 1025)]
    [DataRow(int.MaxValue, 1)]
    [DataRow(int.MaxValue, int.MaxValue)]
    [DataRow(1, 65_536)]
    public void Images_larger_than_a_model_can_have_are_refused_before_training(int width, int height)
    {
        var error = Assert.ThrowsExactly<ArgumentOutOfRangeException>(
            () => _context.Transforms.FloodedImageClassification(ShortRun.Options(o => (o.ImageWidth, o.ImageHeight) = (width, height))));
        StringAssert.StartsWith(error.ParamName, "Image");
    }

    [TestMethod]
    [DataRow("")]
    [DataRow("  ")]
    public void Empty_paths_are_refused_by_name(string path)
    {
        string[] paths = [nameof(Options.PretrainedWeights), nameof(Options.CheckpointDirectory), nameof(Options.TensorBoardDirectory)];
        foreach (var property in paths)
        {
            var options = ShortRun.Options(o => typeof(Options).GetProperty(property)!.SetValue(o, path));
            Assert.AreEqual(
                property, Assert.ThrowsExactly<ArgumentException>(() => _context.Transforms.FloodedImageClassification(options)).ParamName);
        }
    }

    private static IEnumerable<PropertyInfo> Numeric(Type type) => type.GetProperties(BindingFlags.Public | BindingFlags.Instance)
        .Where(p => p.SetMethod?.IsPublic == true && Type.GetTypeCode(Nullable.GetUnderlyingType(p.PropertyType) ?? p.PropertyType) is
            TypeCode.Int32 or TypeCode.Int64 or TypeCode.Single or TypeCode.Double && !p.PropertyType.IsEnum
            && Nullable.GetUnderlyingType(p.PropertyType)?.IsEnum != true);

    private static IEnumerable<object> Values(Type type) => Type.GetTypeCode(Nullable.GetUnderlyingType(type) ?? type) switch
    {
        TypeCode.Int32 => Integers.Where(i => i is >= int.MinValue and <= int.MaxValue).Select(i => (object)(int)i),
        TypeCode.Int64 => Integers.Select(i => (object)i),
        TypeCode.Single => Doubles.Select(d => (object)(float)d),
        _ => Doubles.Select(d => (object)d),
    };

    private static void Set(PropertyInfo property, object target, object value)
    {
        try
        {
            property.SetValue(target, value);
        }
        catch (TargetInvocationException e) when (e.InnerException is ArgumentOutOfRangeException inner)
        {
            throw inner;
        }
    }

    /// <summary>Trains for one epoch, unless the trainer cannot be created.</summary>
    private void Try(string name, object value, Action<Options> change)
    {
        FloodedImageClassificationTrainer trainer;
        try
        {
            trainer = _context.Transforms.FloodedImageClassification(ShortRun.Options(o =>
            {
                o.Epochs = 1;
                o.MetricsCallback = _ => throw new EpochIsOver();
                change(o);
            }));
        }
        catch (ArgumentException e)
        {
            StringAssert.Contains($"{e.ParamName} {e.Message}", name, $"{name} = {value}");
            return;
        }
        try
        {
            trainer.Fit(Data()).Dispose();
            Assert.Fail("No epoch was trained.");
        }
        catch (EpochIsOver)
        {
        }
        catch (Exception e) when (e is ArgumentException or InvalidOperationException && e.Message.Contains(name, StringComparison.Ordinal))
        {
            // Errors that only the data can show.
        }
        catch (Exception e)
        {
            Assert.Fail($"{name} = {value}: {e}");
        }
    }

    private IDataView Data()
    {
        var rows = Enumerable.Range(0, 30).Select(i => new Row
        {
            Features = [.. Enumerable.Range(0, 64).Select(pixel => (byte)((pixel * 37) + (i * 11) % 256))],
            Label = (uint)(i % RandomModel.Classes),
        });
        var schema = SchemaDefinition.Create(typeof(Row));
        schema["Label"].ColumnType = new KeyDataViewType(typeof(uint), RandomModel.Classes);
        return _context.Data.LoadFromEnumerable(rows, schema);
    }

    private sealed class EpochIsOver : Exception;

    private sealed class Row
    {
        [VectorType(64)]
        public byte[] Features { get; set; } = [];

        public uint Label { get; set; }
    }
}
