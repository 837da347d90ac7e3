using System.Security.Cryptography;
using System.Text;

namespace DingFlow.Sandbox;

/// <summary>
/// The app's access token, good for both generations. It lives 7200 seconds; asking again within that time gives the same token and
/// extends it, as DingTalk's does.
/// </summary>
public sealed class SandboxTokens(TimeProvider timeProvider)
{
    internal const int LifetimeSeconds = 7200;

    private readonly Lock _lock = new();
    private string? _token;
    private DateTimeOffset _expires;

    /// <summary>Makes the token expire now, as though its time were over.</summary>
    public void Expire()
    {
        lock (_lock)
        {
            _token = null;
        }
    }

    internal string Issue()
    {
        lock (_lock)
        {
            var now = timeProvider.GetUtcNow();
            if (_token is null || _expires <= now)
            {
                _token = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(16));
            }

            _expires = now.AddSeconds(LifetimeSeconds);
            return _token;
        }
    }

    internal bool IsValid(string token)
    {
        lock (_lock)
        {
            return _token is not null && _expires > timeProvider.GetUtcNow()
                && CryptographicOperations.FixedTimeEquals(Encoding.UTF8.GetBytes(token), Encoding.UTF8.GetBytes(_token));
        }
    }
}
