using Microsoft.Extensions.Logging;

namespace Mlflood.Terminal;

/// <summary>Writes log messages to standard error, each as a line without a stack trace.</summary>
internal sealed class ScreenLogger : ILoggerProvider, ILogger
{
    /// <summary>Whether messages are written.</summary>
    public bool IsOn { get; set; }

    public ILogger CreateLogger(string categoryName) => this;

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => IsOn && logLevel != LogLevel.None;

    public void Log<TState>(
        LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        if (!IsEnabled(logLevel))
            return;
        var line = exception is null ? formatter(state, exception) : $"{formatter(state, exception)} {exception.Message}";
        if (logLevel >= LogLevel.Error)
            Screen.WriteError(line);
        else if (logLevel == LogLevel.Warning)
            Screen.WriteWarning(line);
        else
            Screen.WriteNote(line);
    }

    public void Dispose()
    {
    }
}
