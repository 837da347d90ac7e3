namespace DingFlow.Remote;

/// <summary>How a call to another system ended, whatever its own codes.</summary>
public enum RemoteStatus
{
    /// <summary>It did what was asked.</summary>
    Ok,

    /// <summary>It knows no such person. Never proof by itself that the person is gone.</summary>
    NotFound,

    /// <summary>Our app lacks a permission or may not see this person: a fault of ours, permanent until mended.</summary>
    Denied,

    /// <summary>Our credentials were refused.</summary>
    Unauthenticated,

    /// <summary>Too many calls; try after <see cref="RemoteResult.RetryAfter"/>.</summary>
    Throttled,

    /// <summary>A quota that stays used up for days (DingTalk's monthly call count).</summary>
    QuotaExhausted,

    /// <summary>Down, slow, or the answer was lost: the change may or may not have happened.</summary>
    Unavailable,

    /// <summary>Cannot be done to this kind of account (an ordinary DingTalk account cannot be disabled).</summary>
    NotApplicable,

    /// <summary>It says that our request is wrong.</summary>
    Rejected,

    /// <summary>An answer that its documentation does not describe.</summary>
    Unexpected,
}

/// <summary>How a call to another system ended.</summary>
public record RemoteResult(RemoteStatus Status)
{
    /// <summary>The remote's own code, for the evidence.</summary>
    public string? Code { get; init; }

    /// <summary>The remote's request id, for the evidence and for its support.</summary>
    public string? RequestId { get; init; }

    /// <summary>How long the remote asks us to wait.</summary>
    public TimeSpan? RetryAfter { get; init; }

    /// <summary>The permissions that the remote says are missing.</summary>
    public IReadOnlyList<string> MissingScopes { get; init; } = [];

    /// <summary>It did what was asked.</summary>
    public bool IsOk => Status == RemoteStatus.Ok;

    /// <summary>Trying again later may help.</summary>
    public bool IsTransient => Status is RemoteStatus.Throttled or RemoteStatus.Unavailable;
}

/// <summary>How a call to another system ended, and what it answered.</summary>
public sealed record RemoteResult<T>(RemoteStatus Status, T? Value) : RemoteResult(Status)
{
    /// <summary>A refusal carried over from another call.</summary>
    public static RemoteResult<T> From(RemoteResult other)
    {
        ArgumentNullException.ThrowIfNull(other);
        return new(other.Status, default) { Code = other.Code, RequestId = other.RequestId, RetryAfter = other.RetryAfter, MissingScopes = other.MissingScopes };
    }
}
