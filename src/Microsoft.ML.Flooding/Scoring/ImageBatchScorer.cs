using Microsoft.ML.Flooding.Images;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Scoring;

/// <summary>Reads rows of a cursor into a batch and scores it; the memory of a batch is kept for the next.</summary>
internal sealed class ImageBatchScorer : IDisposable
{
    private readonly ImageClassifier _classifier;
    private readonly ImageColumn _column;
    private readonly RawImage[] _raw;
    private readonly float[] _probabilities;
    private readonly Tensor _pixels;

    /// <param name="classifier">Scores.</param>
    /// <param name="column">Decodes.</param>
    /// <param name="pixelType">uint8 or float32, by the column's type.</param>
    /// <param name="capacity">Rows in the largest batch.</param>
    public ImageBatchScorer(ImageClassifier classifier, ImageColumn column, ScalarType pixelType, int capacity)
    {
        _classifier = classifier;
        _column = column;
        _raw = [.. Enumerable.Range(0, capacity).Select(_ => new RawImage())];
        _probabilities = new float[capacity * classifier.Classes];
        var shape = column.Shape;
        _pixels = empty([capacity, shape.Height, shape.Width, shape.Channels], pixelType).DetachFromDisposeScope();
    }

    /// <summary>The value of a row of the batch to come, for the column's getter to read into.</summary>
    public RawImage Row(int index) => _raw[index];

    /// <summary>Decodes and scores the first <paramref name="count"/> rows.</summary>
    /// <param name="count">Rows read.</param>
    /// <param name="describe">Names a row of the batch in an error.</param>
    /// <exception cref="InvalidOperationException">An image cannot be read.</exception>
    public void Score(int count, Func<int, string> describe)
    {
        var stride = (int)(_pixels.stride(0) * _pixels.ElementSize);
        if (count == 1)
            Decode(0);
        else
            Parallel.For(0, count, Decode);
        using var rows = _pixels.narrow(0, 0, count);
        _classifier.Score(rows, _probabilities.AsSpan(0, count * _classifier.Classes));

        void Decode(int i)
        {
            if (!_column.TryDecode(_raw[i], _pixels.bytes.Slice(i * stride, stride), out var problem))
                throw new InvalidOperationException($"Column '{_column.Name}', {describe(i)}: the image cannot be read: {problem}.");
        }
    }

    /// <summary>The probabilities of a row of the scored batch.</summary>
    public ReadOnlySpan<float> Probabilities(int index) => _probabilities.AsSpan(index * _classifier.Classes, _classifier.Classes);

    public void Dispose() => _pixels.Dispose();
}
