using System.Text.Json;
using DingFlow.Intake.Dialects;
using DingFlow.Remote;
using Microsoft.IdentityModel.Tokens;

namespace DingFlow.Signals;

/// <summary>What came of a search for the key that signed a token.</summary>
internal enum KeySearch
{
    /// <summary>These keys may have signed it.</summary>
    Found,

    /// <summary>The transmitter was asked just now and has no such key.</summary>
    Unknown,

    /// <summary>The key is not among those known, and the transmitter was asked too short a time ago to be asked again.</summary>
    AskLater,

    /// <summary>The transmitter's keys cannot be had.</summary>
    Unavailable,
}

/// <summary>Keys that may have signed a token.</summary>
/// <param name="Search">What came of it.</param>
/// <param name="Keys">They; empty unless found.</param>
/// <param name="RetryAfter">When it is worth asking again.</param>
internal sealed record FoundKeys(KeySearch Search, IReadOnlyList<SecurityKey> Keys, TimeSpan RetryAfter = default);

/// <summary>
/// The keys that a transmitter publishes (RFC 7517), kept in memory. They are fetched on first use, when they are older than
/// <see cref="Lifetime"/>, and when a token names one that is not among them; whatever comes in, the transmitter is asked at most once in
/// <see cref="LeastInterval"/>, and all who wait share one request.
/// </summary>
internal sealed partial class TransmitterKeys(string source, SsfDialect dialect, TimeProvider time, ILogger logger) : IDisposable
{
    /// <summary>The shortest time between two requests for the keys.</summary>
    public static TimeSpan LeastInterval { get; } = TimeSpan.FromSeconds(30);

    /// <summary>How old keys may become before they are fetched anew, so that one that was withdrawn stops counting.</summary>
    public static TimeSpan Lifetime { get; } = TimeSpan.FromHours(1);

    /// <summary>How old keys may become while the transmitter does not give them out; after that nothing can be verified.</summary>
    public static TimeSpan LongestLifetime { get; } = TimeSpan.FromHours(24);

    /// <summary>How long a fetch may take.</summary>
    public static TimeSpan FetchLimit { get; } = TimeSpan.FromSeconds(10);

    private const int MaxDocumentBytes = 256 * 1024;

    private readonly Lock _gate = new();
    private readonly Lazy<HttpClient> _http = new(static () => RemoteHttp.CreateClient());
    private readonly CancellationTokenSource _stop = new();
    private PublishedKeys? _known;
    private Task? _fetching;
    private DateTimeOffset? _lastFetch;

    /// <summary>The keys that may have signed a token with this <c>kid</c>, or without one.</summary>
    public async Task<FoundKeys> FindAsync(string? keyId, string algorithm, CancellationToken cancellationToken)
    {
        var now = time.GetUtcNow();
        var known = _known;
        if (known is not null && now - known.FetchedAt < Lifetime && known.Find(keyId, algorithm) is { Count: > 0 } fresh)
        {
            return new(KeySearch.Found, fresh);
        }

        var (fetching, isOwn) = Begin(now);
        if (fetching is not null)
        {
            await fetching.WaitAsync(cancellationToken);
        }

        known = _known;
        if (known is not null && now - known.FetchedAt < LongestLifetime && known.Find(keyId, algorithm) is { Count: > 0 } found)
        {
            return new(KeySearch.Found, found);
        }

        var wait = (_lastFetch ?? now) + LeastInterval - time.GetUtcNow();
        wait = wait < TimeSpan.FromSeconds(1) ? TimeSpan.FromSeconds(1) : wait;
        var hasAny = known is not null && now - known.FetchedAt < LongestLifetime;
        return !hasAny ? new(KeySearch.Unavailable, [], wait)
            // Only an answer to a question asked after the token had come says that there is no such key.
            : isOwn && known!.FetchedAt >= now ? new(KeySearch.Unknown, [])
            : new(KeySearch.AskLater, [], wait);
    }

    public void Dispose()
    {
        _stop.Cancel();
        if (_http.IsValueCreated)
        {
            _http.Value.Dispose();
        }

        _stop.Dispose();
    }

    /// <summary>The fetch that is under way, or a new one when that is allowed.</summary>
    private (Task? Fetching, bool IsOwn) Begin(DateTimeOffset now)
    {
        lock (_gate)
        {
            if (_fetching is { IsCompleted: false } running)
            {
                return (running, false);
            }

            if (_lastFetch is { } last && now - last < LeastInterval)
            {
                return (null, false);
            }

            _lastFetch = now;
            // Not the caller's token: others wait for the same fetch.
            _fetching = Task.Run(() => FetchAsync(now), CancellationToken.None);
            return (_fetching, true);
        }
    }

    private async Task FetchAsync(DateTimeOffset now)
    {
        using var limit = new CancellationTokenSource(FetchLimit, time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(limit.Token, _stop.Token);
        try
        {
            var address = dialect.JwksUri ?? await FindAddressAsync(either.Token);
            var keys = PublishedKeys.Parse(await GetAsync(address, either.Token), now);
            Log.Fetched(logger, source, keys.Count);
            _known = keys;
        }
        catch (Exception exception) when (exception is HttpRequestException or OperationCanceledException or FormatException or IOException)
        {
            Log.NotFetched(logger, source, exception is FormatException ? exception.Message : (exception as HttpRequestException)?.HttpRequestError.ToString() ?? exception.GetType().Name);
        }
    }

    /// <summary>Where the transmitter's metadata say that its keys are (SSF 1.0 section 7.1).</summary>
    private async Task<Uri> FindAddressAsync(CancellationToken cancellationToken)
    {
        var metadata = dialect.MetadataUri!;
        using var document = ParseObject(await GetAsync(metadata, cancellationToken));
        if (document.RootElement.Text("issuer") != dialect.Issuer)
        {
            throw new FormatException("its metadata are of another issuer");
        }

        return document.RootElement.Text("jwks_uri") is { } text && Uri.TryCreate(text, UriKind.Absolute, out var address)
            && (address.Scheme == Uri.UriSchemeHttps ? !address.IsLoopback || metadata.IsLoopback : address.Scheme == Uri.UriSchemeHttp && address.IsLoopback && metadata.IsLoopback)
            ? address
            : throw new FormatException("its metadata name no https address of its keys");
    }

    private async Task<byte[]> GetAsync(Uri address, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, address);
        request.Headers.Accept.ParseAdd("application/json");
        request.Options.Set(RemoteHttp.AnswerBytes, MaxDocumentBytes);
        using var response = await _http.Value.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
        if (!response.IsSuccessStatusCode)
        {
            throw new FormatException(System.FormattableString.Invariant($"it answered {(int)response.StatusCode}"));
        }

        return await response.Content.ReadAsByteArrayAsync(cancellationToken);
    }

    internal static JsonDocument ParseObject(byte[] bytes)
    {
        try
        {
            var document = JsonDocument.Parse(bytes, new JsonDocumentOptions { MaxDepth = JsonFields.MaxDepth });
            if (document.RootElement.ValueKind == JsonValueKind.Object)
            {
                return document;
            }

            document.Dispose();
        }
        catch (JsonException)
        {
            // Said below.
        }

        throw new FormatException("it answered something that is no JSON object");
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Information, "The keys of the transmitter of {Source} were fetched: {Count} that can be used")]
        public static partial void Fetched(ILogger logger, string source, int count);

        [LoggerMessage(2, LogLevel.Error, "The keys of the transmitter of {Source} could not be fetched: {Reason}")]
        public static partial void NotFetched(ILogger logger, string source, string reason);
    }
}

/// <summary>Keys as they were published: public keys for signatures, of sizes that are neither weak nor a burden.</summary>
internal sealed class PublishedKeys
{
    private const int MaxKeys = 50;
    private const int LeastModulusBytes = 2048 / 8;
    private const int MostModulusBytes = 8192 / 8;
    private const int MostExponentBytes = 4;
    private const int P256Bytes = 32;

    private readonly List<(SecurityKey Key, string? Algorithm, bool IsRsa)> _keys = [];

    private PublishedKeys(DateTimeOffset fetchedAt) => FetchedAt = fetchedAt;

    public DateTimeOffset FetchedAt { get; }

    public int Count => _keys.Count;

    /// <summary>Reads a key set. Keys that are of no use here are passed over: a set may hold others, for other ends.</summary>
    /// <exception cref="FormatException">It is none, or holds no key that can be used.</exception>
    public static PublishedKeys Parse(byte[] bytes, DateTimeOffset fetchedAt)
    {
        using var document = TransmitterKeys.ParseObject(bytes);
        var published = new PublishedKeys(fetchedAt);
        if (document.RootElement.Find("keys") is { ValueKind: JsonValueKind.Array } keys)
        {
            foreach (var key in keys.EnumerateArray().Take(MaxKeys))
            {
                published.Add(key);
            }
        }

        return published.Count > 0 ? published : throw new FormatException("its key set holds no RSA key of 2048 bits or more and no P-256 key for signatures");
    }

    /// <summary>The keys for an algorithm: that of the id, or all of them where a token names none.</summary>
    public List<SecurityKey> Find(string? keyId, string algorithm) =>
    [
        .. _keys.Where(k => k.IsRsa == !algorithm.StartsWith("ES", StringComparison.Ordinal)
            && (k.Algorithm is null || k.Algorithm == algorithm)
            && (keyId is null || k.Key.KeyId == keyId)).Select(static k => k.Key),
    ];

    private void Add(JsonElement key)
    {
        var isForSignatures = key.Text("use") is null or "sig"
            && (key.Find("key_ops") is not { } uses || (uses.ValueKind == JsonValueKind.Array && uses.EnumerateArray().Any(static use => Intake.PersonFields.TextOf(use) == "verify")));
        if (!isForSignatures)
        {
            return;
        }

        SecurityKey? read = key.Text("kty") switch
        {
            "RSA" when Bytes(key, "n") is { Length: >= LeastModulusBytes and <= MostModulusBytes } n && n[0] != 0
                && (n.Length > LeastModulusBytes || n[0] >= 0x80) && Bytes(key, "e") is { Length: > 0 and <= MostExponentBytes } e && (e[^1] & 1) == 1 && e is not [1] =>
                new RsaSecurityKey(new System.Security.Cryptography.RSAParameters { Modulus = n, Exponent = e }),
            "EC" when key.Text("crv") == "P-256" && Bytes(key, "x") is { Length: P256Bytes } x && Bytes(key, "y") is { Length: P256Bytes } y => Curve(x, y),
            _ => null,
        };
        if (read is not null)
        {
            read.KeyId = key.Text("kid");
            _keys.Add((read, key.Text("alg"), read is RsaSecurityKey));
        }
    }

    private static ECDsaSecurityKey? Curve(byte[] x, byte[] y)
    {
        try
        {
            return new ECDsaSecurityKey(System.Security.Cryptography.ECDsa.Create(new System.Security.Cryptography.ECParameters
            {
                Curve = System.Security.Cryptography.ECCurve.NamedCurves.nistP256,
                Q = new System.Security.Cryptography.ECPoint { X = x, Y = y },
            }));
        }
        catch (System.Security.Cryptography.CryptographicException)
        {
            return null; // Not a point of the curve.
        }
    }

    private static byte[]? Bytes(JsonElement key, string name)
    {
        var text = key.Text(name);
        if (text is null || !System.Buffers.Text.Base64Url.IsValid(text))
        {
            return null;
        }

        return System.Buffers.Text.Base64Url.DecodeFromChars(text);
    }
}
