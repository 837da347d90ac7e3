using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json.Nodes;
using DingFlow.Tests.EndToEnd;
using Microsoft.AspNetCore.Http;

namespace DingFlow.Tests.Signals;

/// <summary>
/// A transmitter of Shared Signals on the loopback: it publishes its keys and its metadata, rotates them, and fails as it is told. Its
/// tokens are made by hand, so that no library vouches for itself.
/// </summary>
internal sealed class TransmitterStandIn : IAsyncDisposable
{
    private readonly List<SignalKey> _published = [];
    private LoopbackServer _server = null!;
    private int _tokens;

    private TransmitterStandIn(string issuer) => Issuer = issuer;

    /// <summary>The issuer of its tokens.</summary>
    public string Issuer { get; private set; }

    public const string Audience = "https://dingflow.example/receiver";

    public Uri Jwks => new(_server.Address, "/jwks");

    public Uri Address => _server.Address;

    /// <summary>How often its keys were asked for.</summary>
    public int KeyRequests { get; private set; }

    /// <summary>How often its metadata were asked for.</summary>
    public int MetadataRequests { get; private set; }

    /// <summary>Answers in place of the keys.</summary>
    public Func<HttpContext, Task>? Instead { get; set; }

    /// <summary>What the metadata say; by default the truth.</summary>
    public Func<JsonObject>? Metadata { get; set; }

    /// <summary>The key that signs at present.</summary>
    public SignalKey Key => _published[^1];

    public static async Task<TransmitterStandIn> StartAsync(string? issuer = null)
    {
        var transmitter = new TransmitterStandIn(issuer ?? "https://idp.example");
        transmitter._server = await LoopbackServer.StartAsync(transmitter.AnswerAsync);
        if (issuer == "self")
        {
            transmitter.Issuer = transmitter._server.Address.ToString().TrimEnd('/') + "/tenant1";
        }

        transmitter.Publish(SignalKey.Rsa());
        return transmitter;
    }

    public void Publish(SignalKey key) => _published.Add(key);

    /// <summary>A new key signs; the old one is published no longer.</summary>
    public void Rotate()
    {
        _published.Clear();
        _published.Add(SignalKey.Rsa());
    }

    /// <summary>The settings of a source that receives from it.</summary>
    public (string, string?)[] Source(string name, params (string Name, string? Value)[] more) =>
    [
        ($"HrSources:{name}:Dialect", "ssf"), ($"HrSources:{name}:Issuer", Issuer), ($"HrSources:{name}:Audience", Audience),
        ($"HrSources:{name}:JwksUri", Jwks.ToString()), ($"HrSources:{name}:AccountDisabled", "freeze"),
        .. more.Select(setting => ($"HrSources:{name}:{setting.Name}", setting.Value)),
    ];

    /// <summary>The claims of a token about one event.</summary>
    public JsonObject Claims(DateTimeOffset now, string type, string subject, string body = "{}") => new()
    {
        ["iss"] = Issuer,
        ["aud"] = Audience,
        ["iat"] = now.ToUnixTimeSeconds(),
        ["jti"] = $"set-{++_tokens}",
        ["sub_id"] = JsonNode.Parse(subject),
        ["events"] = new JsonObject { [type] = JsonNode.Parse(body) },
    };

    /// <summary>A token with these claims.</summary>
    public string Token(JsonObject claims, SignalKey? key = null, JsonObject? header = null, string? algorithm = null) =>
        (key ?? Key).Sign(claims.ToJsonString(), header, algorithm);

    public async ValueTask DisposeAsync() => await _server.DisposeAsync();

    private async Task AnswerAsync(HttpContext context)
    {
        if (context.Request.Path.Value!.Contains("well-known", StringComparison.Ordinal))
        {
            MetadataRequests++;
            Assert.Equal("/.well-known/ssf-configuration/tenant1", context.Request.Path.Value);
            await context.Response.WriteAsync((Metadata?.Invoke() ?? new JsonObject { ["issuer"] = Issuer, ["jwks_uri"] = Jwks.ToString() }).ToJsonString());
            return;
        }

        KeyRequests++;
        if (Instead is { } instead)
        {
            await instead(context);
            return;
        }

        await context.Response.WriteAsync(new JsonObject { ["keys"] = new JsonArray([.. _published.Select(static key => (JsonNode)key.Public())]) }.ToJsonString());
    }
}

/// <summary>A key pair of a transmitter.</summary>
internal sealed class SignalKey
{
    /// <summary>Making an RSA key takes longer than everything else in a test: four do for all, under new names.</summary>
    private static readonly Lazy<RSAParameters>[] s_pairs =
        [.. Enumerable.Range(0, 4).Select(static _ => new Lazy<RSAParameters>(static () => { using var rsa = RSA.Create(2048); return rsa.ExportParameters(true); }))];

    private static int s_made;

    private readonly RSA? _rsa;
    private readonly ECDsa? _curve;
    private int _pair = -1;

    private SignalKey(RSA? rsa, ECDsa? curve, string? id) => (_rsa, _curve, Id) = (rsa, curve, id ?? $"key-{Interlocked.Increment(ref s_made)}");

    public string Id { get; }

    public string? Use { get; init; } = "sig";

    public bool HasId { get; init; } = true;

    public static SignalKey Rsa(string? id = null, SignalKey? unlike = null)
    {
        var pair = unlike is null ? Random.Shared.Next(s_pairs.Length) : (unlike._pair + 1) % s_pairs.Length;
        return new(RSA.Create(s_pairs[pair].Value), null, id) { _pair = pair };
    }

    public static SignalKey Weak() => new(RSA.Create(1024), null, null);

    public static SignalKey P256(string? id = null) => new(null, ECDsa.Create(ECCurve.NamedCurves.nistP256), id);

    public JsonObject Public()
    {
        var key = new JsonObject();
        if (_rsa is not null)
        {
            var parameters = _rsa.ExportParameters(false);
            (key["kty"], key["n"], key["e"]) = ("RSA", Base64Url.EncodeToString(parameters.Modulus), Base64Url.EncodeToString(parameters.Exponent));
        }
        else
        {
            var parameters = _curve!.ExportParameters(false);
            (key["kty"], key["crv"], key["x"], key["y"]) = ("EC", "P-256", Base64Url.EncodeToString(parameters.Q.X), Base64Url.EncodeToString(parameters.Q.Y));
        }

        if (HasId)
        {
            key["kid"] = Id;
        }

        if (Use is not null)
        {
            key["use"] = Use;
        }

        return key;
    }

    /// <summary>The private key.</summary>
    public byte[] Pkcs8() => _rsa!.ExportPkcs8PrivateKey();

    /// <summary>The public key as PEM, for the attack that takes it for a shared secret.</summary>
    public string Pem() => _rsa!.ExportSubjectPublicKeyInfoPem();

    public string Sign(string claims, JsonObject? header = null, string? algorithm = null)
    {
        algorithm ??= _rsa is not null ? "RS256" : "ES256";
        var all = new JsonObject { ["alg"] = algorithm, ["typ"] = "secevent+jwt" };
        if (HasId)
        {
            all["kid"] = Id;
        }

        foreach (var (name, value) in header ?? [])
        {
            all[name] = value?.DeepClone();
        }

        var input = $"{Encode(all.ToJsonString())}.{Encode(claims)}";
        var bytes = Encoding.ASCII.GetBytes(input);
        var signature = algorithm switch
        {
            "RS256" => _rsa!.SignData(bytes, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1),
            "RS384" => _rsa!.SignData(bytes, HashAlgorithmName.SHA384, RSASignaturePadding.Pkcs1),
            "PS256" => _rsa!.SignData(bytes, HashAlgorithmName.SHA256, RSASignaturePadding.Pss),
            "ES256" => _curve!.SignData(bytes, HashAlgorithmName.SHA256, DSASignatureFormat.IeeeP1363FixedFieldConcatenation),
            "HS256" => HMACSHA256.HashData(Encoding.UTF8.GetBytes(Pem()), bytes),
            "none" => [],
            _ => throw new ArgumentOutOfRangeException(nameof(algorithm)),
        };
        return $"{input}.{Base64Url.EncodeToString(signature)}";
    }

    private static string Encode(string json) => Base64Url.EncodeToString(Encoding.UTF8.GetBytes(json));
}

/// <summary>Names of events.</summary>
internal static class Secevents
{
    public const string SessionRevoked = "https://schemas.openid.net/secevent/caep/event-type/session-revoked";
    public const string CredentialChange = "https://schemas.openid.net/secevent/caep/event-type/credential-change";
    public const string Disabled = "https://schemas.openid.net/secevent/risc/event-type/account-disabled";
    public const string Enabled = "https://schemas.openid.net/secevent/risc/event-type/account-enabled";
    public const string Purged = "https://schemas.openid.net/secevent/risc/event-type/account-purged";
    public const string Verification = "https://schemas.openid.net/secevent/ssf/event-type/verification";
    public const string StreamUpdated = "https://schemas.openid.net/secevent/ssf/event-type/stream-updated";
    public const string Person = """{"format":"email","email":"e1001@sandbox.example"}""";
}
