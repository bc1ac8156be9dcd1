using Microsoft.ML.Flooding.Images;

namespace Microsoft.ML.Flooding.Scoring;

/// <summary>Computes the probabilities of images with one engine. Thread-safe, except for <see cref="Dispose"/>.</summary>
internal abstract class Scorer : IDisposable
{
    /// <summary>The number of images to score in one pass: enough to keep the device busy without using too much of its memory.</summary>
    public abstract int BatchSize { get; }

    /// <summary>Computes the probabilities of each image, one image after the other.</summary>
    /// <param name="pixels">The raw pixels.</param>
    /// <param name="probabilities">The output: N x classes values.</param>
    public abstract void Score(PixelBatch pixels, Span<float> probabilities);

    public abstract void Dispose();
}
