namespace Microsoft.ML.Flooding.Images;

/// <summary>One pass over an <see cref="ImageSet"/>. A batch's tensors belong to the dispose scope that <see cref="MoveNext"/> was called in.</summary>
internal interface IImageBatches : IDisposable
{
    /// <summary>The batch that the last <see cref="MoveNext"/> went to.</summary>
    ImageBatch Current { get; }

    /// <summary>Goes to the next batch; false at the end of the pass.</summary>
    bool MoveNext();
}
