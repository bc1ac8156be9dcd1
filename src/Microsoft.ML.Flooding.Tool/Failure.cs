namespace Mlflood;

/// <summary>An error of the user's data or files. Its message is shown without a stack trace.</summary>
internal sealed class Failure(string message) : Exception(message);
