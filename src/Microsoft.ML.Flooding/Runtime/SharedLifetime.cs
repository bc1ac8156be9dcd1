namespace Microsoft.ML.Flooding.Runtime;

/// <summary>
/// Lets many threads use native memory that one of them may release at any time: callers that came before the end finish, later ones are
/// refused, and whoever is last releases. Nobody waits, so nobody can deadlock.
/// </summary>
internal sealed class SharedLifetime(Type owner, Action release)
{
    // The owner's own use counts as one.
    private int _users = 1;
    private int _ended;

    /// <summary>Keeps the memory until the use is disposed of.</summary>
    /// <exception cref="ObjectDisposedException">The lifetime has ended.</exception>
    public Use Enter()
    {
        while (true)
        {
            var users = Volatile.Read(ref _users);
            ObjectDisposedException.ThrowIf(users == 0 || Volatile.Read(ref _ended) != 0, owner);
            if (Interlocked.CompareExchange(ref _users, users + 1, users) == users)
                return new Use(this);
        }
    }

    /// <summary>Throws once the lifetime has ended.</summary>
    /// <exception cref="ObjectDisposedException">It has.</exception>
    public void ThrowIfEnded() => ObjectDisposedException.ThrowIf(Volatile.Read(ref _ended) != 0, owner);

    /// <summary>Refuses callers from here on. May be called more than once.</summary>
    public void End()
    {
        if (Interlocked.Exchange(ref _ended, 1) == 0)
            Leave();
    }

    private void Leave()
    {
        if (Interlocked.Decrement(ref _users) == 0)
            release();
    }

    public readonly struct Use(SharedLifetime lifetime) : IDisposable
    {
        public void Dispose() => lifetime.Leave();
    }
}
