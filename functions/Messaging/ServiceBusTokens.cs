using Azure.Core;

namespace DingFlow.Messaging;

/// <summary>
/// The token for Service Bus, kept until shortly before it expires. One refresh runs at a time; it does not end with the caller who
/// started it, so that callers with little time still profit from it.
/// </summary>
internal sealed class ServiceBusTokens(Lazy<TokenCredential> credential, string scope, TimeProvider timeProvider)
{
    private static readonly TimeSpan RenewBefore = TimeSpan.FromMinutes(5);
    private static readonly TimeSpan UselessBefore = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan RefreshTimeout = TimeSpan.FromMinutes(1);

    private readonly Lock _gate = new();
    private AccessToken? _token;
    private Task<AccessToken>? _refresh;

    /// <summary>A token that is valid for a while.</summary>
    /// <exception cref="Azure.Identity.AuthenticationFailedException">There is none to be had.</exception>
    public async Task<string> GetAsync(CancellationToken cancellationToken)
    {
        Task<AccessToken> refresh;
        lock (_gate)
        {
            var now = timeProvider.GetUtcNow();
            if (_token is { } token && now < (token.RefreshOn ?? token.ExpiresOn - RenewBefore))
            {
                return token.Token;
            }

            if (_refresh is null or { IsCompleted: true })
            {
                _refresh = Task.Run(RefreshAsync, CancellationToken.None);
            }

            refresh = _refresh;
            if (_token is { } old && now < old.ExpiresOn - UselessBefore)
            {
                // Still good. A refresh that fails is tried again by the next caller, and told once the old one is used up.
                return old.Token;
            }
        }

        return (await refresh.WaitAsync(cancellationToken)).Token;
    }

    /// <summary>Forgets a token that was refused.</summary>
    public void Drop(string refused)
    {
        lock (_gate)
        {
            if (_token?.Token == refused)
            {
                _token = null;
            }
        }
    }

    private async Task<AccessToken> RefreshAsync()
    {
        using var timeout = new CancellationTokenSource(RefreshTimeout, timeProvider);
        var token = await credential.Value.GetTokenAsync(new([scope]), timeout.Token);
        lock (_gate)
        {
            _token = token;
        }

        return token;
    }
}
