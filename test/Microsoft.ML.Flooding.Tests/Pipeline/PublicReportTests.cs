using System.Globalization;
using System.IO.Compression;
using System.Text.RegularExpressions;
using Microsoft.ML.Data;
using TorchSharp;

namespace Microsoft.ML.Flooding.Tests.Pipeline;

/// <summary>What users of ML.NET, Model Builder, TorchSharp and timm have reported, done with this library.</summary>
[TestClass]
public sealed class PublicReportTests : IDisposable
{
    private const int Count = 100;
    private readonly MLContext _context = new(seed: 1);
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("flooding-reports-");
    private readonly CultureInfo _culture = CultureInfo.CurrentCulture;

    public void Dispose()
    {
        CultureInfo.CurrentCulture = _culture;
        _folder.Delete(recursive: true);
    }

    /// <summary>
    /// dotnet/machinelearning#4910: poor accuracy where the decimal separator is a comma. Minus signs and digits differ as well.
    /// </summary>
    [TestMethod]
    [DataRow("de-DE")]
    [DataRow("ar-SA")]
    [DataRow("tr-TR")]
    [DataRow("fa-IR")]
    [DataRow("sv-SE")]
    public void The_culture_changes_neither_weights_nor_texts_nor_files(string culture)
    {
        var log = new List<string>();
        _context.Log += (_, e) =>
        {
            if (e.Kind == Microsoft.ML.Runtime.ChannelMessageKind.Warning || e.RawMessage.StartsWith("Epoch ", StringComparison.Ordinal))
                log.Add(e.RawMessage);
        };
        var data = FashionMnistData.Train(_context, Count);
        Run("invariant", stopsAfter: 1);
        var expected = Run("invariant", stopsAfter: null);
        CultureInfo.CurrentCulture = CultureInfo.GetCultureInfo(culture);
        Run("other", stopsAfter: 1);
        var actual = Run("other", stopsAfter: null);
        CollectionAssert.AreEqual(expected.Weights, actual.Weights);
        CollectionAssert.AreEqual(expected.Texts, actual.Texts);
        CollectionAssert.AreEqual(expected.Files, actual.Files);

        (byte[] Weights, string[] Texts, string[] Files) Run(string name, int? stopsAfter)
        {
            log.Clear();
            var folder = _folder.CreateSubdirectory(name).FullName;
            using var stop = new CancellationTokenSource();
            using var model = ShortRun.Fit(_context, data, options =>
            {
                options.FloodLevel = 2.5f;
                options.LearningRate = 0.0125;
                options.CheckpointDirectory = Path.Combine(folder, "checkpoints");
                options.StopToken = stop.Token;
                options.MetricsCallback = metrics =>
                {
                    if (metrics.Epoch == stopsAfter)
                        stop.Cancel();
                };
            });
            var report = Path.Combine(folder, "report.html");
            model.History.SaveReport(report);
            using var loaded = (FloodedImageClassificationTransformer)SavedModel.Load(SavedModel.Save(_context, model, data.Schema));
            CollectionAssert.AreEqual(Scores(model, data), Scores(loaded, data));
            var calibration = _context.MulticlassClassification.EvaluateCalibration(model.Transform(data));
            var refusal = Assert.ThrowsExactly<ArgumentOutOfRangeException>(
                () => ShortRun.Fit(_context, data, options => options.LearningRate = -1.5));
            // .NET adds the value in a line of its own, by the culture.
            var refused = refusal.Message.Split('\n')[0];
            string[] texts =
            [
                File.ReadAllText(report), calibration.ToString(), refused, model.History.Stages.Advice,
                model.History.Epochs[^1].ToString(),
                model.History.ToString(), .. log,
            ];
            return (SavedModel.Weights(_context, model, data.Schema), [.. texts.Select(WithoutTimes)],
                [
                    .. Directory.EnumerateFiles(folder, "*", SearchOption.AllDirectories)
                        .Select(file => Path.GetRelativePath(folder, file)).Order(StringComparer.Ordinal),
                ]);
        }

        string WithoutTimes(string text) =>
            Regex.Replace(
                text, @"[0-9.,٠-٩۰-۹٫]+ (images/s|s|seconds|ms|KB|MB)\b|Seconds = [^,}]*|Elapsed.*|[^ ]*flooding-reports[^ ]*", "");
    }

    /// <summary>dotnet/machinelearning#7452: a name of one's own for the predicted label was lost.</summary>
    [TestMethod]
    public void The_predicted_label_may_have_a_name_of_its_own_and_be_mapped_in_place()
    {
        var rows = FashionMnistData.Rows("train", Count);
        var pipeline = _context.Transforms.Conversion.MapValueToKey("Label", "Class")
            .Append(_context.Transforms.FloodedImageClassification(ShortRun.Options(o => o.PredictedLabelColumnName = "PredictedLabelKey")))
            .Append(_context.Transforms.Conversion.MapKeyToValue("Predicted", "PredictedLabelKey"))
            .Append(_context.Transforms.Conversion.MapKeyToValue("PredictedLabelKey"));
        using var model = pipeline.Fit(_context.Data.LoadFromEnumerable(rows));
        using var engine = _context.Model.CreatePredictionEngine<FashionMnistData.Row, FashionMnistData.Prediction>(model);
        Assert.IsFalse(string.IsNullOrEmpty(engine.Predict(rows[0]).Predicted));
    }

    /// <summary>dotnet/machinelearning#4585, #3630: files stayed locked after Predict.</summary>
    [TestMethod]
    [DataRow(true)]
    [DataRow(false)]
    public void Files_are_free_after_training_and_prediction(bool asBitmaps)
    {
        using var files = new ImageFiles(Count, SkiaSharp.SKEncodedImageFormat.Jpeg);
        var view = _context.Data.LoadFromEnumerable(files.Rows);
        IEstimator<ITransformer> loading = asBitmaps
            ? _context.Transforms.LoadImages("Features", files.Folder, "ImagePath")
            : _context.Transforms.LoadRawImageBytes("Features", files.Folder, "ImagePath");
        using var model = _context.Transforms.Conversion.MapValueToKey("Label", "Class").Append(loading)
            .Append(_context.Transforms.FloodedImageClassification(ShortRun.Options())).Fit(view);
        AssertFree();
        using var engine = _context.Model.CreatePredictionEngine<ImageFiles.Row, Scored>(model);
        foreach (var row in files.Rows)
            engine.Predict(row);
        AssertFree();
        _ = model.Transform(view).GetColumn<float[]>("Score").Take(3).ToArray();
        AssertFree();

        void AssertFree()
        {
            foreach (var row in files.Rows)
                using (new FileStream(files.PathOf(row), FileMode.Open, FileAccess.ReadWrite, FileShare.None)) { }
        }
    }

    /// <summary>dotnet/machinelearning#7444, #4126: images of the caller were disposed of by the pipeline.</summary>
    [TestMethod]
    public void Images_of_the_caller_stay_usable()
    {
        var rows = FashionMnistData.Rows("train", Count).Select(row => new BitmapRow
        {
            Features = MLImage.CreateFromPixels(
                28, 28, MLPixelFormat.Rgba32, [.. row.Features.SelectMany(v => new[] { (byte)v, (byte)v, (byte)v, (byte)255 })]),
            Class = row.Class,
        }).ToArray();
        using var model = _context.Transforms.Conversion.MapValueToKey("Label", "Class")
            .Append(_context.Transforms.FloodedImageClassification(ShortRun.Options())).Fit(_context.Data.LoadFromEnumerable(rows));
        var shared = new PredictionEngineOptions { OwnsTransformer = false };
        using (var engine = _context.Model.CreatePredictionEngine<BitmapRow, Scored>(model, shared))
        {
            var first = engine.Predict(rows[0]).Score;
            for (var i = 0; i < 5; i++)
                CollectionAssert.AreEqual(first, engine.Predict(rows[0]).Score);
        }
        var scored = model.Transform(_context.Data.LoadFromEnumerable(rows));
        var kept = _context.Data.CreateEnumerable<BitmapAndScore>(scored, reuseRowObject: false).ToArray();
        foreach (var (row, result) in rows.Zip(kept))
        {
            Assert.AreEqual(28, row.Features!.Width);
            Assert.AreEqual(28 * 28 * 4, row.Features.Pixels.Length);
            Assert.AreEqual(28 * 28 * 4, result.Features!.Pixels.Length);
        }
    }

    /// <summary>dotnet/machinelearning#3063, #3744: a label was asked for in order to predict one.</summary>
    [TestMethod]
    public void A_loaded_model_predicts_without_a_label()
    {
        var data = FashionMnistData.Train(_context, Count);
        using var model = ShortRun.Fit(_context, data);
        var path = Path.Combine(_folder.FullName, "model.zip");
        _context.Model.Save(model, data.Schema, path);
        var context = new MLContext();
        var loaded = context.Model.Load(path, out _);
        using var engine = context.Model.CreatePredictionEngine<OnlyFeatures, Scored>(loaded);
        Assert.HasCount(10, engine.Predict(new OnlyFeatures()).Score);
    }

    /// <summary>dotnet/machinelearning#5432: cross-validation of a pipeline that maps the predicted label to its value in place.</summary>
    [TestMethod]
    public void Cross_validation_of_a_pipeline_with_the_label_mapped()
    {
        var rows = _context.Data.LoadFromEnumerable(FashionMnistData.Rows("train", Count));
        var pipeline = _context.Transforms.Conversion.MapValueToKey("LabelAsKey", "Class")
            .Append(_context.Transforms.FloodedImageClassification(ShortRun.Options(o => o.LabelColumnName = "LabelAsKey")))
            .Append(_context.Transforms.Conversion.MapKeyToValue("PredictedLabel"));
        var keyed = _context.Transforms.Conversion.MapValueToKey("LabelAsKey", "Class").Fit(rows).Transform(rows);
        var results = _context.MulticlassClassification.CrossValidate(
            keyed, pipeline, numberOfFolds: 2, labelColumnName: "LabelAsKey", seed: 8881);
        foreach (var result in results)
        {
            Assert.IsGreaterThan(0.0, result.Metrics.MicroAccuracy);
            _ = _context.MulticlassClassification.Evaluate(result.ScoredHoldOutSet, labelColumnName: "LabelAsKey");
            (result.Model as IDisposable)?.Dispose();
        }
    }

    /// <summary>dotnet/TorchSharp#456, #1159: an application computes with TorchSharp itself, in scopes and modes of its own.</summary>
    [TestMethod]
    [DataRow("scope")]
    [DataRow("no_grad")]
    [DataRow("inference_mode")]
    public void Scopes_and_modes_of_the_application_change_nothing(string kind)
    {
        var data = FashionMnistData.Train(_context, Count);
        using var expected = ShortRun.Fit(_context, data);
        var zip = SavedModel.Save(_context, expected, data.Schema);
        FloodedImageClassificationTransformer trained, loaded, continued;
        using (kind switch { "scope" => torch.NewDisposeScope(), "no_grad" => torch.no_grad(), _ => (IDisposable)torch.inference_mode() })
        {
            loaded = (FloodedImageClassificationTransformer)SavedModel.Load(zip);
            CollectionAssert.AreEqual(Scores(expected, data), Scores(loaded, data));
            trained = ShortRun.Fit(_context, data);
            continued = _context.Transforms.FloodedImageClassification(ShortRun.Options()).Fit(data, loaded);
            Assert.AreEqual(kind == "scope", torch.is_grad_enabled());
        }
        using var continuedOutside = _context.Transforms.FloodedImageClassification(ShortRun.Options()).Fit(data, loaded);
        CollectionAssert.AreEqual(SavedModel.Weights(_context, expected, data.Schema), SavedModel.Weights(_context, trained, data.Schema));
        CollectionAssert.AreEqual(Scores(continuedOutside, data), Scores(continued, data));
        CollectionAssert.AreEqual(Scores(expected, data), Scores(loaded, data));
        Assert.HasCount(3, loaded.LossLandscape(data, options: new LossLandscapeOptions { Points = 3 }).Offsets);
        foreach (var model in new[] { trained, loaded, continued })
            model.Dispose();
    }

    /// <summary>
    /// dotnet/TorchSharp#1317: defaults of the process, such as a GPU for every tensor. A model in use does not depend on them; making a
    /// network does, and says what to do.
    /// </summary>
    [TestMethod]
    [DataRow(true)]
    [DataRow(false)]
    public void Defaults_of_the_process_do_not_matter_or_are_refused(bool isDevice)
    {
        var data = FashionMnistData.Train(_context, Count);
        // A model that ONNX Runtime scores makes no network.
        using var model = ShortRun.Fit(_context, data, o => o.ScoringEngine = ScoringEngine.LibTorch);
        var zip = SavedModel.Save(_context, model, data.Schema);
        using var loaded = (FloodedImageClassificationTransformer)SavedModel.Load(zip);
        var expected = Scores(model, data);
        try
        {
            if (isDevice)
                torch.set_default_device(torch.META);
            else
                torch.set_default_dtype(torch.ScalarType.Float64);
            CollectionAssert.AreEqual(expected, Scores(loaded, data));
            CollectionAssert.AreEqual(zip, SavedModel.Save(_context, loaded, data.Schema));
            loaded.SaveAsOnnx(Path.Combine(_folder.FullName, "model.onnx"));
            foreach (var refused in new Action[]
            {
                () => ShortRun.Fit(_context, data), () => SavedModel.Load(zip), () => loaded.LossLandscape(data),
                () => loaded.WithScoringPrecision(Precision.BFloat16),
            })
            {
                var error = Assert.Throws<Exception>(refused).GetBaseException();
                Assert.IsInstanceOfType<InvalidOperationException>(error);
                StringAssert.Contains(
                    error.Message, isDevice ? "torch.set_default_device(torch.CPU)" : "torch.set_default_dtype(torch.float32)");
            }
        }
        finally
        {
            torch.set_default_device(torch.CPU);
            torch.set_default_dtype(torch.ScalarType.Float32);
        }
        CollectionAssert.AreEqual(expected, Scores(SavedModel.Load(zip), data));
    }

    /// <summary>dotnet/machinelearning#1019: Windows writes entries with backslashes.</summary>
    [TestMethod]
    [DataRow(true)]
    [DataRow(false)]
    public void A_model_saved_on_Windows_loads_on_Linux(bool safely)
    {
        var rows = _context.Data.LoadFromEnumerable(FashionMnistData.Rows("train", Count));
        using var model = _context.Transforms.Conversion.MapValueToKey("Label", "Class")
            .Append(_context.Transforms.FloodedImageClassification(ShortRun.Options())).Fit(rows);
        var zip = SavedModel.Save(_context, model, rows.Schema);
        var path = Path.Combine(_folder.FullName, "windows.zip");
        using (var source = new ZipArchive(new MemoryStream(zip)))
        using (var target = ZipFile.Open(path, ZipArchiveMode.Create))
        {
            foreach (var entry in source.Entries)
            {
                var flipped = entry.FullName.Contains('\\', StringComparison.Ordinal)
                    ? entry.FullName.Replace('\\', '/')
                    : entry.FullName.Replace('/', '\\');
                using var from = entry.Open();
                using var to = target.CreateEntry(flipped).Open();
                from.CopyTo(to);
            }
        }
        var context = new MLContext();
        var loaded = safely ? context.Model.LoadSafely(path, out _) : context.Model.Load(path, out _);
        using var engine = context.Model.CreatePredictionEngine<FashionMnistData.Row, Scored>(loaded);
        Assert.HasCount(10, engine.Predict(FashionMnistData.Rows("train", 1)[0]).Score);
    }

    /// <summary>
    /// dotnet/machinelearning-modelbuilder#2102: folders are read one after another, so the first images are all of one class.
    /// </summary>
    [TestMethod]
    [DataRow("memory", false, false)]
    [DataRow("disk", false, false)]
    [DataRow("stream", false, true)]
    [DataRow("stream", true, false)]
    public void Images_sorted_by_class_are_learned_or_warned_of(string store, bool isShuffled, bool isWarned)
    {
        var warnings = new List<string>();
        _context.Log += (_, e) =>
        {
            if (e.Kind == Microsoft.ML.Runtime.ChannelMessageKind.Warning)
                warnings.Add(e.Message);
        };
        var view = _context.Data.LoadFromEnumerable(FashionMnistData.Rows("train", 400).OrderBy(row => row.Class, StringComparer.Ordinal));
        var sorted = _context.Transforms.Conversion.MapValueToKey("Label", "Class").Fit(view).Transform(view);
        using var model = ShortRun.Fit(_context, isShuffled ? _context.Data.ShuffleRows(sorted) : sorted, options =>
        {
            options.Epochs = 10;
            options.BatchSize = 16;
            options.MaxCacheBytes = store == "memory" ? null : 784 * 80;
            options.CacheOnDisk = store == "disk";
        });
        Assert.AreEqual(isWarned, warnings.Any(w => w.Contains("sorted by class", StringComparison.Ordinal)
            && w.Contains("ShuffleRows", StringComparison.Ordinal)), string.Join('\n', warnings));
        if (!isWarned)
            Assert.IsGreaterThan(0.9, _context.MulticlassClassification.Evaluate(model.Transform(sorted)).MicroAccuracy);
    }

    /// <summary>dotnet/machinelearning#2735, #3025: a model saved with the loader of its data.</summary>
    [TestMethod]
    public void A_model_is_saved_with_its_loader_and_without_a_schema()
    {
        var rows = FashionMnistData.Rows("train", Count);
        var table = Path.Combine(_folder.FullName, "pixels.tsv");
        File.WriteAllLines(table, rows.Select(row => row.Class + "\t" + string.Join('\t', row.Features)));
        var loader = _context.Data.CreateTextLoader([new("Class", DataKind.String, 0), new("Features", DataKind.Single, 1, 784)]);
        using var model = _context.Transforms.Conversion.MapValueToKey("Label", "Class")
            .Append(_context.Transforms.FloodedImageClassification(ShortRun.Options())).Fit(loader.Load(table));
        var expected = Scores(model, loader.Load(table));
        var path = Path.Combine(_folder.FullName, "model.zip");
        _context.Model.Save(model, loader, path);
        var loaded = new MLContext().Model.LoadWithDataLoader(path, out _);
        CollectionAssert.AreEqual(expected, Column(loaded.Transform(loader.Load(table))));
        using (var stream = File.OpenRead(path))
        {
            var fromStream = new MLContext().Model.LoadWithDataLoader(stream, out var own);
            CollectionAssert.AreEqual(expected, Column(fromStream.Transform(own.Load(new MultiFileSource(table)))));
        }
        _context.Model.Save(model, null, path);
        CollectionAssert.AreEqual(expected, Column(new MLContext().Model.Load(path, out var schema).Transform(loader.Load(table))));
        Assert.IsNull(schema);
        CollectionAssert.AreEqual(expected, Column(new MLContext().Model.LoadSafely(path, out _).Transform(loader.Load(table))));
    }

    /// <summary>
    /// dotnet/docs#22853, dotnet/machinelearning#4383: a loaded model gets another step, is saved again and trained further.
    /// </summary>
    [TestMethod]
    public void A_loaded_model_is_appended_to_saved_again_and_trained_further()
    {
        var data = FashionMnistData.Train(_context, Count);
        using var model = ShortRun.Fit(_context, data);
        var loaded = SavedModel.Load(SavedModel.Save(_context, model, data.Schema), _context);
        var values = _context.Transforms.Conversion.MapKeyToValue("Predicted", "PredictedLabel").Fit(loaded.Transform(data));
        using var chain = loaded.Append(values);
        var again = SavedModel.Load(SavedModel.Save(_context, chain, data.Schema));
        CollectionAssert.AreEqual(Scores(model, data), Scores(again, data));
        using var engine = _context.Model.CreatePredictionEngine<OnlyFeatures, FashionMnistData.Prediction>(again);
        Assert.IsFalse(string.IsNullOrEmpty(engine.Predict(new OnlyFeatures()).Predicted));
        using var further = _context.Transforms.FloodedImageClassification(ShortRun.Options()).Fit(data, again);
        Assert.HasCount(10, further.Labels);
    }

    /// <summary>
    /// dotnet/machinelearning-modelbuilder#603, #2806, pytorch/pytorch#75171: spaces, percent signs and letters of other scripts in paths.
    /// </summary>
    [TestMethod]
    public void Paths_of_any_characters()
    {
        var folder = _folder.CreateSubdirectory("图像 データ %20 äöü 'quoted' #1").FullName;
        using var files = new ImageFiles(Count);
        foreach (var row in files.Rows)
        {
            var name = $"图 %20 {row.ImagePath}";
            File.Copy(files.PathOf(row), Path.Combine(folder, name));
            row.ImagePath = name;
        }
        var view = _context.Data.LoadFromEnumerable(files.Rows);
        var pretrained = Path.Combine(folder, "weights ü.safetensors");
        foreach (var weights in new[] { null, pretrained })
        {
            using var model = _context.Transforms.Conversion.MapValueToKey("Label", "Class")
                .Append(_context.Transforms.LoadImages("Features", folder, "ImagePath"))
                .Append(_context.Transforms.FloodedImageClassification(ShortRun.Options(options =>
                {
                    options.CheckpointDirectory = Path.Combine(folder, "checkpoints " + (weights is null));
                    options.TensorBoardDirectory = Path.Combine(folder, "board");
                    options.PretrainedWeights = weights;
                }))).Fit(view);
            model.LastTransformer.SaveAsSafetensors(pretrained);
            model.LastTransformer.SaveAsOnnx(Path.Combine(folder, "model ü.onnx"));
            model.LastTransformer.History.SaveReport(Path.Combine(folder, "report ü.html"));
            model.LastTransformer.History.SavePlots(Path.Combine(folder, "plots ü"));
            var path = Path.Combine(folder, "model ü.zip");
            _context.Model.SaveSafely(model, view.Schema, path);
            CollectionAssert.AreEqual(Scores(model, view), Scores(new MLContext().Model.LoadSafely(path, out _), view));
        }
    }

    /// <summary>
    /// dotnet/machinelearning#4152, dotnet/machinelearning-modelbuilder#328: formats that cannot be read were left out silently.
    /// </summary>
    [TestMethod]
    [DataRow("AAAAGGZ0eXBoZWljAAAAAG1pZjE=", "HEIC", "dotnet add package Microsoft.ML.Flooding.Magick")]
    [DataRow("AAAAIGZ0eXBtaWYxAAAAAG1pZjE=", "HEIC", "dotnet add package Microsoft.ML.Flooding.Magick")]
    [DataRow("AAAAIGZ0eXBhdmlmAAAAAGF2aWY=", "AVIF", "dotnet add package Microsoft.ML.Flooding.Magick")]
    [DataRow("SUkqAAgAAAAAAA==", "TIFF", "dotnet add package Microsoft.ML.Flooding.Magick")]
    [DataRow("AAAADGpQICANCocK", "JPEG 2000", "dotnet add package Microsoft.ML.Flooding.Magick")]
    [DataRow("PHN2ZyB4bWxucz0iIi8+", "SVG", "JPEG or PNG")]
    [DataRow("dmVyc2lvbiBodHRwczovL2dpdC1sZnMuZ2l0aHViLmNvbS9zcGVjL3Yx", "Git LFS", "git lfs pull")]
    [DataRow("PCFET0NUWVBFIGh0bWw+", "web page", "download")]
    [DataRow("AAECAwQFBgc=", "not a JPEG, PNG, WebP, GIF or BMP", "damaged")]
    public void A_file_of_a_format_that_is_not_supported_is_named_with_its_format(string file, string format, string remedy)
    {
        using var files = new ImageFiles(Count);
        File.WriteAllBytes(files.PathOf(files.Rows[7]), Convert.FromBase64String(file));
        var view = _context.Data.LoadFromEnumerable(files.Rows);
        var pipeline = _context.Transforms.Conversion.MapValueToKey("Label", "Class")
            .Append(_context.Transforms.LoadRawImageBytes("Features", files.Folder, "ImagePath"))
            .Append(_context.Transforms.FloodedImageClassification(ShortRun.Options()));
        var message = Assert.Throws<Exception>(() => pipeline.Fit(view)).GetBaseException().Message;
        foreach (var word in new[] { files.Rows[7].ImagePath, format, remedy })
            StringAssert.Contains(message, word);
    }

    /// <summary>dotnet/docs#14265, dotnet/machinelearning-modelbuilder#1350: which score is which label's.</summary>
    [TestMethod]
    public void Labels_of_any_characters_name_their_scores()
    {
        string[] names =
        [
            "</script><b>", "\"quoted\", 'too'", "C:\\a\\b", "Ä ö ü", "日本語", "🐱", "a\tb", "a\nb", " lead", "lead", "LEAD", "{0}", "%s",
            "&amp;", "\u0001\u001f",
        ];
        var rows = FashionMnistData.Rows("train", names.Length * 8);
        for (var i = 0; i < rows.Count; i++)
            rows[i].Class = names[i % names.Length];
        var view = _context.Data.LoadFromEnumerable(rows);
        using var model = _context.Transforms.Conversion.MapValueToKey("Label", "Class")
            .Append(_context.Transforms.FloodedImageClassification(
                ShortRun.Options(o => o.TensorBoardDirectory = Path.Combine(_folder.FullName, "board"))))
            .Fit(view);
        using var engine = _context.Model.CreatePredictionEngine<FashionMnistData.Row, Scored>(model);
        var slots = default(VBuffer<ReadOnlyMemory<char>>);
        engine.OutputSchema["Score"].GetSlotNames(ref slots);
        var scores = new Dictionary<string, float>();
        foreach (var (name, score) in slots.DenseValues().Zip(engine.Predict(rows[0]).Score))
            scores.Add(name.ToString(), score);
        CollectionAssert.AreEqual(names, scores.Keys.ToArray());
        var loaded = (TransformerChain<ITransformer>)SavedModel.Load(SavedModel.Save(_context, model, view.Schema));
        CollectionAssert.AreEqual(names, ((FloodedImageClassificationTransformer)loaded.LastTransformer).Labels.ToArray());
        var path = Path.Combine(_folder.FullName, "report.html");
        model.LastTransformer.History.SaveReport(path);
        StringAssert.DoesNotMatch(File.ReadAllText(path), new("</script><b>"));
        model.LastTransformer.SaveAsOnnx(Path.Combine(_folder.FullName, "model.onnx"));
    }

    private static float[] Scores(ITransformer model, IDataView data) => Column(model.Transform(data));

    private static float[] Column(IDataView scored) => [.. scored.GetColumn<float[]>("Score").SelectMany(score => score)];

    private sealed class BitmapRow
    {
        [Microsoft.ML.Transforms.Image.ImageType(28, 28)]
        public MLImage? Features { get; set; }

        public string Class { get; set; } = "";
    }

    private sealed class BitmapAndScore
    {
        [Microsoft.ML.Transforms.Image.ImageType(28, 28)]
        public MLImage? Features { get; set; }

        public float[] Score { get; set; } = [];
    }

    private sealed class OnlyFeatures
    {
        [VectorType(784)]
        public float[] Features { get; set; } = new float[784];
    }

    private sealed class Scored
    {
        public float[] Score { get; set; } = [];
    }
}
