using System.CommandLine;

namespace Common;

public static class OptionRanges
{
    /// <summary>Rejects values below <paramref name="minimum"/> with an error that names the option.</summary>
    /// <typeparam name="T"><see cref="int"/>, or <see cref="int"/>? for an option that can be left out.</typeparam>
    public static void AcceptAtLeast<T>(this Option<T> option, int minimum) => option.Validators.Add(result =>
    {
        if (result.GetValueOrDefault<T>() is int value && value < minimum)
            result.AddError($"{option.Name} is {value}. Give a whole number of at least {minimum}.");
    });
}
