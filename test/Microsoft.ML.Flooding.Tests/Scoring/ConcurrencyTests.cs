using System.Collections.Concurrent;
using Microsoft.ML.Data;
using Microsoft.ML.Flooding.Images;

namespace Microsoft.ML.Flooding.Tests.Scoring;

[TestClass]
public sealed class ConcurrencyTests
{
    private const int Threads = 8;
    private const int Predictions = 2000;
    private static readonly ImageShape Shape = new(8, 8, 3);

    [TestMethod]
    [DataRow(ScoringEngine.OnnxRuntime)]
    [DataRow(ScoringEngine.LibTorch)]
    public void Eight_threads_of_engines_and_cursors_get_the_bits_that_one_gets(ScoringEngine scoringEngine)
    {
        var context = new MLContext();
        using var model = RandomModel.Create(
            context, Architecture.ConvNet.WithBaseWidth(4), Shape, d => d with { ScoringEngine = scoringEngine });
        var rows = PixelRow.Draw(200);
        var view = model.Transform(context.Data.LoadFromEnumerable(rows));
        using var alone = CreateEngine(context, model);
        var byEngine = rows.Select(row => alone.Predict(row).Score).ToArray();
        var byCursor = view.GetColumn<float[]>("Score").ToArray();
        var predictions = 0;
        var cursors = 0;

        RunOnThreads(Threads, thread =>
        {
            using var engine = CreateEngine(context, model);
            for (var i = 0; i < Predictions; i++)
            {
                var row = rows[(thread + i) % rows.Length];
                Assert.IsTrue(byEngine[row.Id].AsSpan().SequenceEqual(engine.Predict(row).Score));
                Interlocked.Increment(ref predictions);
                if (i % 200 != thread)
                    continue;
                AssertSame(byCursor, view.GetColumn<float[]>("Score"));
                Interlocked.Increment(ref cursors);
            }
        });

        Assert.AreEqual(Threads * Predictions, predictions);
        Assert.AreEqual(Threads * Predictions / 200, cursors);
    }

    [TestMethod]
    [DataRow(ScoringEngine.OnnxRuntime)]
    [DataRow(ScoringEngine.LibTorch)]
    public void Disposal_lets_early_callers_finish_and_refuses_late_ones(ScoringEngine scoringEngine)
    {
        var context = new MLContext();
        var rows = PixelRow.Draw(2000);
        for (var round = 0; round < 10; round++)
        {
            var model = RandomModel.Create(
                context, Architecture.ConvNet.WithBaseWidth(4), Shape, d => d with { ScoringEngine = scoringEngine });
            var view = model.Transform(context.Data.LoadFromEnumerable(rows));
            using var started = new CountdownEvent(Threads);
            var refused = 0;
            var disposer = Task.Run(() =>
            {
                started.Wait();
                model.Dispose();
            });

            RunOnThreads(Threads, thread =>
            {
                using var engine = CreateEngine(context, model);
                var isSignalled = false;
                try
                {
                    while (true)
                    {
                        if (thread % 2 == 0)
                            _ = engine.Predict(rows[thread]);
                        else
                            _ = view.GetColumn<float[]>("Score").Count();
                        if (!isSignalled)
                            started.Signal();
                        isSignalled = true;
                    }
                }
                catch (ObjectDisposedException e)
                {
                    Assert.AreEqual(typeof(FloodedImageClassificationTransformer).FullName, e.ObjectName);
                    Interlocked.Increment(ref refused);
                }
            });

            disposer.Wait();
            Assert.AreEqual(Threads, refused);
        }
    }

    [TestMethod]
    public void Live_cursors_and_every_member_refuse_after_disposal()
    {
        var context = new MLContext();
        var model = RandomModel.Create(context, Architecture.ConvNet.WithBaseWidth(4), Shape);
        var data = context.Data.LoadFromEnumerable(PixelRow.Draw(2000));
        var view = model.Transform(data);
        using var cursor = view.GetRowCursor(view.Schema);
        Assert.IsTrue(cursor.MoveNext());

        model.Dispose();
        model.Dispose();

        Assert.ThrowsExactly<ObjectDisposedException>(() =>
        {
            while (cursor.MoveNext())
            {
            }
        });
        Assert.ThrowsExactly<ObjectDisposedException>(() => model.Transform(data));
        Assert.ThrowsExactly<ObjectDisposedException>(() => view.GetRowCursor(view.Schema));
        Assert.ThrowsExactly<ObjectDisposedException>(() => context.Model.Save(model, data.Schema, Stream.Null));
        Assert.ThrowsExactly<ObjectDisposedException>(() => model.WithScoringPrecision(Precision.BFloat16));
        Assert.ThrowsExactly<ObjectDisposedException>(() => model.WithScoringEngine(ScoringEngine.LibTorch));
        Assert.ThrowsExactly<ObjectDisposedException>(() => CreateEngine(context, model));
        Assert.HasCount(2000, view.GetColumn<int>("Id").ToArray(), "Columns that need no network are still there.");
    }

    [TestMethod]
    public void An_engine_that_owns_its_model_ends_the_others_without_a_crash()
    {
        var context = new MLContext();
        var model = RandomModel.Create(context, Architecture.ConvNet.WithBaseWidth(4), Shape);
        using var other = CreateEngine(context, model);
        context.Model.CreatePredictionEngine<PixelRow, ImagePrediction>(model).Dispose();

        Assert.ThrowsExactly<ObjectDisposedException>(() => other.Predict(PixelRow.Draw(1)[0]));
    }

    internal static PredictionEngine<PixelRow, ImagePrediction> CreateEngine(MLContext context, ITransformer model) =>
        context.Model.CreatePredictionEngine<PixelRow, ImagePrediction>(model, new PredictionEngineOptions { OwnsTransformer = false });

    internal static void RunOnThreads(int count, Action<int> work)
    {
        var failures = new ConcurrentQueue<Exception>();
        var threads = Enumerable.Range(0, count).Select(i => new Thread(() =>
        {
            try
            {
                work(i);
            }
            catch (Exception e)
            {
                failures.Enqueue(e);
            }
        })).ToArray();
        foreach (var thread in threads)
            thread.Start();
        foreach (var thread in threads)
            thread.Join();
        if (!failures.IsEmpty)
            throw new AggregateException(failures);
    }

    private static void AssertSame(float[][] expected, IEnumerable<float[]> actual)
    {
        var count = 0;
        foreach (var scores in actual)
            Assert.IsTrue(expected[count++].AsSpan().SequenceEqual(scores));
        Assert.AreEqual(expected.Length, count);
    }
}
