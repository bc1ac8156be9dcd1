namespace Microsoft.ML.Flooding.Runtime;

/// <summary>
/// Lets many threads use native memory that one of them may release at any time. Calls in progress finish, later calls are refused, and the
/// last user releases the memory. No thread waits, so there is no deadlock.
/// </summary>
internal sealed class SharedLifetime(Type owner, Action release)
{
    // The owner counts as a user.
    private int _users = 1;
    private int _ended;

    /// <summary>Keeps the memory alive until the returned use is disposed.</summary>
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

    /// <summary>Throws if the lifetime has ended.</summary>
    /// <exception cref="ObjectDisposedException">The lifetime has ended.</exception>
    public void ThrowIfEnded() => ObjectDisposedException.ThrowIf(Volatile.Read(ref _ended) != 0, owner);

    /// <summary>Ends the lifetime: later callers are refused. Can be called more than once.</summary>
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
