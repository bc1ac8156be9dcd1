namespace Mlflood.Terminal;

/// <summary>Shows a training on standard error: redrawn on a terminal, as lines elsewhere.</summary>
internal interface ITrainingDisplay
{
    /// <summary>Whether Ctrl-C was pressed.</summary>
    bool IsStopping { get; set; }

    /// <summary>Runs a training and shows it.</summary>
    T Show<T>(Func<T> train);
}
