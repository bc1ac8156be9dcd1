namespace Mlflood.Options;

/// <summary>An option that the library refuses, such as a number out of its range.</summary>
internal sealed class WrongOption(ArgumentException error) : Exception(Describe(error), error)
{
    private static string Describe(ArgumentException error)
    {
        var message = error.Message.Split(" (Parameter '")[0];
        return error is ArgumentOutOfRangeException { ParamName: { } name, ActualValue: var value }
            ? FormattableString.Invariant($"{TrainerOptions.NameOf(name.Split('.')[0])} is {value}. {message}")
            : message;
    }
}
