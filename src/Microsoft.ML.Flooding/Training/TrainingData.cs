using Microsoft.ML.Flooding.Images;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Training;

/// <summary>The rows to train on and, where there are some, the rows to validate on.</summary>
/// <param name="Training">The set of the training rows.</param>
/// <param name="TrainingRows">int64 [N] on the CPU: rows of <paramref name="Training"/>.</param>
/// <param name="Validation">The set of the validation rows, the same as <paramref name="Training"/> when a fraction of it was set aside.</param>
/// <param name="ValidationRows">int64 [M] on the CPU; null without validation.</param>
internal sealed record TrainingData(ImageSet Training, Tensor TrainingRows, ImageSet? Validation, Tensor? ValidationRows);
