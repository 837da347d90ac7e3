using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text;
using DingFlow.Messaging;
using DingFlow.Remote;
using DingFlow.Storage;
using Newtonsoft.Json;
using Newtonsoft.Json.Linq;

namespace DingFlow.HrSystems;

/// <summary>
/// Access tokens of an HR system. Personio gives one for the client's credentials. Gusto wants a refresh token that it replaces every
/// time, and revokes the old one when the new access token is first used: so the new pair is stored, encrypted, before it is used, and
/// when several instances renew at once, the pair that was stored first counts.
/// Sources: developer.personio.de "Authentication"; docs.gusto.com "Company Access Tokens", "Refresh access token".
/// </summary>
internal sealed class HrSystemTokens(HrSystem system, HrSystemCalls calls, IEntityStore store, InboxOptions keys, TimeProvider time) : IDisposable
{
    private const string Table = "HrTokens";
    private const string Row = "oauth";
    private static readonly TimeSpan RenewAhead = TimeSpan.FromMinutes(5);

    private readonly Lazy<InboxKeys> _keys = new(() => new InboxKeys(keys));
    private readonly SemaphoreSlim _renewing = new(1);
    private Pair? _pair;

    private sealed record Pair(string Access, string? Refresh, DateTimeOffset ExpiresAt, string Origin);

    /// <summary>Makes a call with a token; once more with a new one when the first is refused.</summary>
    public async Task<RemoteResult<JToken>> SendAsync(
        string operation, Func<AuthenticationHeaderValue, HttpRequestMessage> request, CancellationToken cancellationToken)
    {
        var token = await GetAsync(null, cancellationToken);
        if (!token.IsOk)
        {
            return RemoteResult<JToken>.From(token);
        }

        var answer = await calls.SendAsync(operation, () => request(new("Bearer", token.Value)), cancellationToken);
        if (answer.Status != RemoteStatus.Unauthenticated || system is { Kind: HrSystemKind.Gusto, Key: not null })
        {
            return answer;
        }

        var renewed = await GetAsync(token.Value, cancellationToken);
        return renewed.IsOk
            ? await calls.SendAsync(operation, () => request(new("Bearer", renewed.Value)), cancellationToken)
            : RemoteResult<JToken>.From(renewed);
    }

    public void Dispose() => _renewing.Dispose();

    private async Task<RemoteResult<string>> GetAsync(string? refused, CancellationToken cancellationToken)
    {
        if (system is { Kind: HrSystemKind.Gusto, Key: { } key })
        {
            return new(RemoteStatus.Ok, key);
        }

        await _renewing.WaitAsync(cancellationToken);
        try
        {
            if (_pair is { } pair && IsGood(pair, refused))
            {
                return new(RemoteStatus.Ok, pair.Access);
            }

            return system.Kind == HrSystemKind.Gusto ? await RefreshAsync(refused, cancellationToken) : await SignInAsync(cancellationToken);
        }
        finally
        {
            _renewing.Release();
        }
    }

    private bool IsGood(Pair pair, string? refused) => pair.Access != refused && time.GetUtcNow() < pair.ExpiresAt - RenewAhead;

    private async Task<RemoteResult<string>> SignInAsync(CancellationToken cancellationToken)
    {
        var answer = await calls.SendAsync(
            "token", () => new HttpRequestMessage(HttpMethod.Post, calls.Address("/v2/auth/token"))
            {
                Content = new FormUrlEncodedContent(
                    [new("client_id", system.ClientId), new("client_secret", system.ClientSecret), new("grant_type", "client_credentials")]),
            }, cancellationToken);
        return Take(answer, "");
    }

    private async Task<RemoteResult<string>> RefreshAsync(string? refused, CancellationToken cancellationToken)
    {
        while (true)
        {
            var row = await store.GetAsync(Table, RowPartition, Row, cancellationToken);
            var stored = row is null ? null : Open(row);
            if (stored is not null && stored.Origin != Origin)
            {
                stored = null; // Somebody authorised anew: what followed the old token is void.
            }

            if (stored is not null && IsGood(stored, refused))
            {
                _pair = stored;
                return new(RemoteStatus.Ok, stored.Access);
            }

            var body = new JObject
            {
                ["client_id"] = system.ClientId,
                ["client_secret"] = system.ClientSecret,
                ["refresh_token"] = stored?.Refresh ?? system.RefreshToken,
                ["grant_type"] = "refresh_token",
            }.ToString(Formatting.None);
            var answer = await calls.SendAsync(
                "token", () => new HttpRequestMessage(HttpMethod.Post, calls.Address("/oauth/token"))
                {
                    Content = new StringContent(body, Encoding.UTF8, "application/json"),
                }, cancellationToken);
            var taken = Take(answer, Origin);
            if (!taken.IsOk)
            {
                return taken;
            }

            var entity = Seal(_pair!, row?.ETag);
            var result = await store.SubmitAsync(
                EntityTransaction.Of(Table, row is null ? EntityOperation.Insert(entity) : EntityOperation.Replace(entity)), cancellationToken);
            if (result.Committed)
            {
                return taken;
            }

            _pair = null; // Another instance was first; its pair counts and ours is never used.
            refused = null;
        }
    }

    private RemoteResult<string> Take(RemoteResult<JToken> answer, string origin)
    {
        if (!answer.IsOk)
        {
            // A refused sign-in is a fault of ours, whatever status it has.
            return answer.Status == RemoteStatus.Rejected ? new(RemoteStatus.Unauthenticated, null) { Code = answer.Code } : RemoteResult<string>.From(answer);
        }

        if (answer.Value.Text("access_token") is not { } access || (system.Kind == HrSystemKind.Gusto && answer.Value.Text("refresh_token") is null))
        {
            return new(RemoteStatus.Unexpected, null) { Code = "no-token" };
        }

        var seconds = answer.Value is JObject { } body && body["expires_in"] is JValue { Type: JTokenType.Integer, Value: long lifetime and > 0 and < 1_000_000 } ? lifetime : 3600;
        _pair = new Pair(access, answer.Value.Text("refresh_token"), time.GetUtcNow() + TimeSpan.FromSeconds(seconds), origin);
        return new(RemoteStatus.Ok, access);
    }

    private string RowPartition => system.Source.Replace('/', '|');

    /// <summary>Which authorisation a stored pair goes back to, so that a new one in the settings takes over.</summary>
    private string Origin => Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(system.RefreshToken ?? "")).AsSpan(0, 8));

    private Entity Seal(Pair pair, string? etag)
    {
        var json = new JObject { ["access"] = pair.Access, ["refresh"] = pair.Refresh, ["expires"] = pair.ExpiresAt.ToUnixTimeSeconds() }.ToString(Formatting.None);
        return new Entity(RowPartition, Row)
        {
            ETag = etag,
            Properties =
            {
                ["Schema"] = 1,
                ["KeyId"] = _keys.Value.CurrentKeyId,
                ["Origin"] = pair.Origin,
                ["Sealed"] = _keys.Value.Encrypt(Encoding.UTF8.GetBytes(json), Context),
            },
        };
    }

    private Pair? Open(Entity row)
    {
        JObject json;
        try
        {
            json = JObject.Parse(Encoding.UTF8.GetString(
                _keys.Value.Decrypt(row.Properties.Require<string>("KeyId"), row.Properties.Require<byte[]>("Sealed"), Context)));
        }
        catch (CryptographicException)
        {
            return null; // The key is gone: the authorisation of the settings must do, or be renewed.
        }

        return new Pair(
            (string)json["access"]!, (string?)json["refresh"], DateTimeOffset.FromUnixTimeSeconds((long)json["expires"]!), row.Properties.Require<string>("Origin"));
    }

    private string Context => $"hr-token|{system.Source}";
}
