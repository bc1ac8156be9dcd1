using System.CommandLine;

namespace Common;

public static class OptionRanges
{
    /// <summary>Rejects whole numbers below <paramref name="minimum"/> with an error that names the option.</summary>
    public static void AcceptAtLeast(this Option option, int minimum) => option.Validators.Add(result =>
    {
        // The option itself rejects text that is not a number. Its value cannot be read here in that case, but its text can.
        if (result.Tokens is [var token] && int.TryParse(token.Value, out var value) && value < minimum)
            result.AddError($"{option.Name} is {value}. Give a whole number of at least {minimum}.");
    });
}
