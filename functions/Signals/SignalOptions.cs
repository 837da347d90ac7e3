using System.Security.Cryptography;
using DingFlow.Messaging;
using DingFlow.Settings;

namespace DingFlow.Signals;

/// <summary>How a subject is named to a subscriber.</summary>
public enum SignalSubject
{
    /// <summary>By company e-mail address (<c>email</c>, RFC 9493).</summary>
    Email,

    /// <summary>By employee number, as the subject that our issuer gave it (<c>iss_sub</c>, RFC 9493).</summary>
    EmployeeId,
}

/// <summary>Settings of the transmitter (<c>Signals</c>).</summary>
public sealed record SignalOptions
{
    private const int MaxNameLength = 40;
    private const int MaxKeys = 2;

    /// <summary><c>iss</c> of our tokens: the public address of the program's base path (<c>Signals:Issuer</c>).</summary>
    public string Issuer { get; init; } = "";

    /// <summary>The key that signs, then the one that is published beside it while keys are rotated (<c>Signals:SigningKeys</c>).</summary>
    public IReadOnlyList<SigningKeyBytes> SigningKeys { get; init; } = [];

    /// <summary>Those who are told (<c>Signals:Subscribers</c>).</summary>
    public IReadOnlyList<SignalSubscriber> Subscribers { get; init; } = [];

    /// <summary>Somebody subscribes, or keys are published for somebody who will.</summary>
    public bool IsTransmitter => SigningKeys.Count > 0 && Issuer.Length > 0;

    /// <summary>Reads the settings; what is wrong is added to the faults.</summary>
    public static SignalOptions Read(IConfiguration configuration, SettingsFaults faults)
    {
        var reader = new SettingsReader(configuration, "Signals", faults);
        var names = reader.Children("Subscribers");
        var subscribers = names.Select(name => ReadSubscriber(name, reader.Section($"Subscribers:{name}"))).OfType<SignalSubscriber>().ToList();
        var keys = ReadKeys(reader.Section("SigningKeys"), reader.Children("SigningKeys"));
        var issuer = reader.Address("Issuer");
        if (names.Count > 0 && !reader.IsSet("Issuer"))
        {
            reader.Fault("Issuer", "is missing: the public address of DingFlow's base path, such as https://dingflow.example.com/api");
        }

        if (issuer is { Query.Length: > 0 } or { Fragment.Length: > 0 })
        {
            reader.Fault("Issuer", "must have neither query nor fragment (SSF 1.0 section 7.1)");
        }

        if (names.Count > 0 && reader.Children("SigningKeys").Count == 0)
        {
            reader.Fault("SigningKeys", "is missing: a private key as PEM or as base64 of PKCS #8, RSA of 2048 bits or more, or P-256");
        }

        return new SignalOptions { Issuer = reader.Text("Issuer") ?? "", SigningKeys = keys, Subscribers = subscribers };
    }

    /// <summary>Nothing of the content: the record holds keys.</summary>
    public override string ToString() => nameof(SignalOptions);

    private static SignalSubscriber? ReadSubscriber(string name, SettingsReader reader)
    {
        if (name.Length > MaxNameLength || !name.All(static c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_'))
        {
            reader.Fault("Url", "the subscriber's name must be at most 40 letters, digits, '-' or '_'");
            return null;
        }

        if (!reader.IsSet("Url"))
        {
            reader.Required("Url");
        }

        var events = new List<AccountSignalKind>();
        foreach (var text in reader.List("Events"))
        {
            AccountSignalKind? kind = text switch { "account-disabled" => AccountSignalKind.Disabled, "account-enabled" => AccountSignalKind.Enabled, _ => null };
            if (kind is null)
            {
                reader.Fault("Events", "must be of account-disabled, account-enabled");
            }
            else
            {
                events.Add(kind.Value);
            }
        }

        var subjects = new List<SignalSubject>();
        foreach (var text in reader.List("Subjects"))
        {
            if (Words.TryRead<SignalSubject>(text, out var subject))
            {
                subjects.Add(subject);
            }
            else
            {
                reader.Fault("Subjects", "must be of email, employeeId");
            }
        }

        var audience = reader.Required("Audience");
        var token = reader.Text("Token");
        if (token is not null && token.AsSpan().ContainsAnyExceptInRange('!', '~'))
        {
            reader.Fault("Token", "must be a bearer token of printable characters without spaces");
            token = null;
        }

        return reader.Address("Url") is { } url
            ? new SignalSubscriber
            {
                Name = name.ToLowerInvariant(),
                Url = url,
                Audience = audience,
                Token = token,
                Events = events.Count == 0 ? [AccountSignalKind.Disabled, AccountSignalKind.Enabled] : events,
                Subjects = subjects.Count == 0 ? [SignalSubject.Email, SignalSubject.EmployeeId] : subjects,
                Sources = [.. reader.List("Sources").Select(static source => $"hr/{source.ToLowerInvariant()}")],
            }
            : null;
    }

    private static List<SigningKeyBytes> ReadKeys(SettingsReader reader, IReadOnlyList<string> names)
    {
        if (names.Count > MaxKeys)
        {
            reader.Fault(names[^1], "is one too many: two keys, while one is rotated");
        }

        var keys = new List<SigningKeyBytes>();
        foreach (var name in names.Order(StringComparer.Ordinal))
        {
            if (reader.Text(name) is not { } text)
            {
                continue;
            }

            if (SigningKeyBytes.Parse(text) is { } key)
            {
                keys.Add(key);
            }
            else
            {
                reader.Fault(name, "must be a private key as PEM or as base64 of PKCS #8: RSA of 2048 bits or more, or P-256");
            }
        }

        return keys;
    }
}

/// <summary>A receiver of our signals (<c>Signals:Subscribers:{name}</c>).</summary>
public sealed record SignalSubscriber
{
    /// <summary>Its name, in lower case; also the id of its stream.</summary>
    public required string Name { get; init; }

    /// <summary>Where tokens are pushed (RFC 8935).</summary>
    public required Uri Url { get; init; }

    /// <summary><c>aud</c> of its tokens.</summary>
    public required string Audience { get; init; }

    /// <summary>The bearer token that it wants to see; <see langword="null"/> for none.</summary>
    public string? Token { get; init; }

    /// <summary>Of what it is told.</summary>
    public required IReadOnlyList<AccountSignalKind> Events { get; init; }

    /// <summary>How people are named to it: the first of these that is known.</summary>
    public required IReadOnlyList<SignalSubject> Subjects { get; init; }

    /// <summary>It hears of cases only that one of these sources reported; empty for all.</summary>
    public IReadOnlyList<string> Sources { get; init; } = [];

    /// <summary>The name only: the record holds a secret.</summary>
    public override string ToString() => $"subscriber {Name}";
}

/// <summary>A private signing key, PKCS #8.</summary>
/// <param name="Pkcs8">Its bytes.</param>
/// <param name="IsRsa">RSA rather than P-256.</param>
public sealed record SigningKeyBytes(ReadOnlyMemory<byte> Pkcs8, bool IsRsa)
{
    private const int LeastBits = 2048;
    private const string P256 = "1.2.840.10045.3.1.7";

    /// <summary>Reads PEM, or base64 of PKCS #8; <see langword="null"/> when it is neither, or too weak.</summary>
    public static SigningKeyBytes? Parse(string text)
    {
        ArgumentNullException.ThrowIfNull(text);
        try
        {
            byte[] bytes;
            if (text.Contains("-----BEGIN", StringComparison.Ordinal))
            {
                // Settings on one line carry line ends as two characters.
                var pem = text.Replace("\\n", "\n", StringComparison.Ordinal);
                bytes = Convert.FromBase64String(pem[PemEncoding.Find(pem).Base64Data]);
            }
            else
            {
                bytes = Convert.FromBase64String(text);
            }

            return Of(bytes);
        }
        catch (Exception exception) when (exception is FormatException or CryptographicException or ArgumentException)
        {
            return null;
        }
    }

    /// <summary>Nothing of the content: it is a private key.</summary>
    public override string ToString() => nameof(SigningKeyBytes);

    private static SigningKeyBytes? Of(byte[] pkcs8)
    {
        using (var rsa = RSA.Create())
        {
            try
            {
                rsa.ImportPkcs8PrivateKey(pkcs8, out _);
                return rsa.KeySize >= LeastBits ? new(pkcs8, true) : null;
            }
            catch (CryptographicException)
            {
                // Not RSA.
            }
        }

        using var curve = ECDsa.Create();
        curve.ImportPkcs8PrivateKey(pkcs8, out _);
        return curve.ExportParameters(false).Curve.Oid.Value == P256 ? new(pkcs8, false) : null;
    }
}
