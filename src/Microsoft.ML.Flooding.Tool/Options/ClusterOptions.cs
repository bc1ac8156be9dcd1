using System.CommandLine;
using StackExchange.Redis;

namespace Mlflood.Options;

/// <summary>Where a cluster is. The options of a worker, and of a training that workers do.</summary>
internal sealed class ClusterOptions
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);

    private readonly Option<ClusterAddress?> _address;

    /// <param name="description">What the cluster is for.</param>
    /// <param name="isRequired">Whether there is no training without one.</param>
    public ClusterOptions(string description, bool isRequired) => _address = new Option<ClusterAddress?>("--cluster")
    {
        Description = description
            + " ADDRESS is localhost, localhost:PORT, redis:HOST:PORT or postgresql:CONNECTION STRING.",
        HelpName = "ADDRESS",
        Required = isRequired,
        CustomParser = result =>
        {
            try
            {
                return ClusterAddress.Parse(result.Tokens.Single().Value);
            }
            catch (Exception e) when (e is FormatException or ArgumentException)
            {
                result.AddError($"--cluster: {e.Message}");
                return null;
            }
        },
    };

    /// <summary>A folder of several machines.</summary>
    public Option<DirectoryInfo> SharedFolder { get; } = FolderOf(
        "--shared-folder",
        "A folder that this machine and the other machines of the cluster see. Images and checkpoints are read from it and written to it. "
        + "Default: they are sent.");

    /// <summary>An option for a folder that exists.</summary>
    public static Option<DirectoryInfo> FolderOf(string name, string description)
    {
        var option = new Option<DirectoryInfo>(name) { Description = description, HelpName = "DIR" };
        option.Validators.Add(result =>
        {
            if (result.Tokens is [var token] && !Directory.Exists(token.Value))
                result.AddError($"{name}: there is no folder '{token.Value}'. Create it, or give another one.");
        });
        return option;
    }

    public void AddTo(Command command)
    {
        command.Add(_address);
        command.Add(SharedFolder);
    }

    /// <summary>The address; null if none was given.</summary>
    public ClusterAddress? AddressOf(ParseResult result) => result.GetValue(_address);

    /// <summary>Connects to the cluster; null if no address was given.</summary>
    /// <exception cref="Failure">The cluster does not answer.</exception>
    public OrleansCluster? Connect(ParseResult result)
    {
        if (AddressOf(result) is not { } address)
        {
            return result.GetValue(SharedFolder) is null
                ? null
                : throw new Failure("--shared-folder is for training on a cluster. Give --cluster too, or leave --shared-folder out.");
        }
        var cluster = Answer(token => OrleansCluster.ConnectAsync(address.ToString(), token));
        cluster.SharedFolder = result.GetValue(SharedFolder)?.FullName;
        return cluster;
    }

    /// <summary>Waits for an answer, for a limited time.</summary>
    /// <exception cref="Failure">There is none.</exception>
    public static T Answer<T>(Func<CancellationToken, Task<T>> ask)
    {
        using var limit = new CancellationTokenSource(Patience);
        try
        {
            return ask(limit.Token).WaitAsync(limit.Token).GetAwaiter().GetResult();
        }
        catch (OperationCanceledException)
        {
            throw new Failure(
                $"The cluster does not answer within {Patience.TotalSeconds:0} seconds. Start a worker with 'mlflood worker', and check "
                + "that all machines have the same --cluster and reach each other.");
        }
        catch (Exception e) when (e is not OutOfMemoryException)
        {
            // The rest of Redis' message is about its client.
            var reason = e.GetBaseException() is RedisException redis ? redis.Message.Split(", ")[0] : e.Message;
            throw new Failure($"The cluster cannot be reached: {reason.TrimEnd('.')}. Check --cluster, and that its server runs.");
        }
    }
}
