namespace Microsoft.ML.Flooding;

/// <summary>How a network with pretrained weights is trained if no option says how.</summary>
public enum FineTuning
{
    /// <summary>
    /// The last layer is trained on cached features, with the learning rate and the number of epochs that cross-validation chooses.
    /// </summary>
    Automatic,

    /// <summary>The whole network is trained as from random weights.</summary>
    None,
}
