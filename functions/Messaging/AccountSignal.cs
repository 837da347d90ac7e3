namespace DingFlow.Messaging;

/// <summary>What became of a person's accounts, for those who subscribe to it.</summary>
public enum AccountSignalKind
{
    /// <summary>Every account was read back as frozen or provably gone.</summary>
    Disabled,

    /// <summary>The accounts were given back.</summary>
    Enabled,
}

/// <summary>
/// Something about a case that other systems are to learn. It names the case only; whoever delivers it reads the rest there, so that no
/// queue carries personal data.
/// </summary>
/// <param name="Kind">What became of the accounts.</param>
/// <param name="CaseId">The case.</param>
public sealed record AccountSignal(AccountSignalKind Kind, string CaseId);

/// <summary>Sends a signal on its way. It is durable when the call returns.</summary>
public interface ISignalSender
{
    /// <summary>Somebody wants to know.</summary>
    bool IsNeeded { get; }

    /// <summary>Enqueues the signal. The same signal of the same case reaches each subscriber once, however often it is sent.</summary>
    Task SendAsync(AccountSignal signal, CancellationToken cancellationToken);
}

/// <summary>Stands in where nobody subscribes.</summary>
public sealed class NoSignals : ISignalSender
{
    /// <summary>Nobody does.</summary>
    public bool IsNeeded => false;

    /// <summary>Does nothing.</summary>
    public Task SendAsync(AccountSignal signal, CancellationToken cancellationToken) => Task.CompletedTask;
}
