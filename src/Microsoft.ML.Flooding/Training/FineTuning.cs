namespace Microsoft.ML.Flooding;

/// <summary>How a network with pretrained weights is trained if no option says how.</summary>
public enum FineTuning
{
    /// <summary>
    /// The last layer is trained on cached features, with the learning rate, the number of epochs and the share of wrong labels that
    /// cross-validation chooses. Takes little more time than scoring all images once.
    /// </summary>
    Automatic,

    /// <summary>The whole network is trained as from random weights.</summary>
    None,

    /// <summary>
    /// As <see cref="Automatic"/>, then 8 epochs of all layers, which take about 20 times as long. The network of the best epoch replaces
    /// the one with the last layer trained if it has a lower log-loss on validation data. The images are flipped at random.
    /// </summary>
    AllLayers,
}
