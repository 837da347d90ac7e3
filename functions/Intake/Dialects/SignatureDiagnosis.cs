using System.Buffers;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace DingFlow.Intake.Dialects;

/// <summary>
/// Finds out why a signature does not fit, by trying what senders and proxies usually get wrong: the secret's encoding, what is signed,
/// the hash, a body that was written anew on its way. For the sender's administrator; an attacker who could ask this would learn little,
/// but is not told.
/// </summary>
internal static class SignatureDiagnosis
{
    private const int MaxMacBytes = 64;

    private static readonly (string Content, string Words)[] Layouts =
    [
        ("{body}", "the body alone"), ("{timestamp}.{body}", "time, dot and body"), ("{body}{timestamp}", "body and time"),
        ("{timestamp}{body}", "time and body"), ("{id}.{timestamp}.{body}", "id, time and body with dots between"), ("{id}.{body}", "id, dot and body"),
    ];

    private static readonly string[] SignatureHeaders =
    [
        "webhook-signature", "svix-signature", "X-BambooHR-Signature", "Bob-Signature", "X-Personio-Signature", "X-Gusto-Signature", "X-Hub-Signature-256",
    ];

    /// <summary>What is wrong with the signature of a request, or which secret it fits.</summary>
    public static IReadOnlyList<HrFinding> Of(
        HmacScheme scheme, IHeaderDictionary headers, ReadOnlyMemory<byte> body, IReadOnlyList<byte[]> secrets, DateTimeOffset now)
    {
        var findings = new List<HrFinding>();
        if (secrets.Count == 0)
        {
            findings.Add(new("no-secret", "The source has no secret yet."));
        }

        var needsId = scheme.Content.Contains(HmacScheme.Id, StringComparison.Ordinal);
        var signature = Single(headers, scheme.SignatureHeader, isNeeded: true, findings);
        var timestamp = scheme.TimestampHeader is { } time ? Single(headers, time, scheme.SignsTime, findings) : null;
        var id = scheme.IdHeader is { } idHeader ? Single(headers, idHeader, needsId, findings) : null;
        if (id is not null && !StandardWebhooks.IsId(id))
        {
            findings.Add(new("malformed-header", $"The id in {scheme.IdHeader} must have 1 to 128 letters, digits or '-_.:~+/=|'."));
        }

        if (timestamp is not null && scheme.SignsTime)
        {
            ExplainTime(scheme, timestamp, now, findings);
        }

        if (headers.ContentEncoding.Count > 0)
        {
            findings.Add(new("content-coding", "The body has a content coding; it must come as it was signed."));
        }

        if (signature is not null)
        {
            ExplainSignature(scheme, signature, new Delivery(id ?? "", timestamp ?? "", body), secrets, findings);
        }

        return findings;
    }

    private static string? Single(IHeaderDictionary headers, string name, bool isNeeded, List<HrFinding> findings)
    {
        if (headers[name] is [{ } value])
        {
            return value;
        }

        if (headers[name].Count > 1)
        {
            findings.Add(new("repeated-header", $"The header {name} is there more than once."));
        }
        else if (isNeeded)
        {
            var other = SignatureHeaders.FirstOrDefault(known => !known.Equals(name, StringComparison.OrdinalIgnoreCase) && headers.ContainsKey(known));
            findings.Add(new("missing-header", other is null ? $"The header {name} is missing." : $"The header {name} is missing, but {other} is there: is it the right dialect?"));
        }

        return null;
    }

    private static void ExplainTime(HmacScheme scheme, string timestamp, DateTimeOffset now, List<HrFinding> findings)
    {
        if (!HmacScheme.TryReadTime(timestamp, out var time))
        {
            findings.Add(new("malformed-header", $"The time in {scheme.TimestampHeader} is neither seconds nor milliseconds since 1970 nor RFC 3339."));
            return;
        }

        var age = now - time;
        if (age.Duration() > scheme.Tolerance)
        {
            var side = age > TimeSpan.Zero ? "old" : "ahead of our clock";
            findings.Add(new("stale-timestamp", string.Create(
                CultureInfo.InvariantCulture,
                $"The time stamp is {age.Duration().TotalSeconds:F0} s {side}; {scheme.Tolerance.TotalSeconds:F0} s are allowed. Check the sender's clock, or Tolerance.")));
        }
    }

    private static void ExplainSignature(HmacScheme scheme, string header, Delivery delivery, IReadOnlyList<byte[]> secrets, List<HrFinding> findings)
    {
        var parts = scheme.Separator is { } separator ? header.Split(separator, StringSplitOptions.RemoveEmptyEntries) : [header];
        var macs = new List<(byte[] Mac, MacEncoding Encoding)>();
        foreach (var part in parts.Take(16))
        {
            var text = part.Trim();
            if (text.StartsWith(scheme.Prefix, StringComparison.OrdinalIgnoreCase))
            {
                text = text[scheme.Prefix.Length..];
            }
            else if (!scheme.PrefixOptional)
            {
                findings.Add(new("wrong-prefix", $"A signature must begin with '{scheme.Prefix}'."));
                text = text[(text.AsSpan().LastIndexOfAny('=', ',') is var at && at >= 0 && at < text.Length - 2 ? at + 1 : 0)..];
            }

            if (Decode(text) is { } decoded)
            {
                macs.Add(decoded);
            }
        }

        if (macs.Count == 0)
        {
            findings.Add(new("malformed-header", $"The header {scheme.SignatureHeader} holds no {scheme.MacBytes}-byte signature in {Name(scheme.Encoding)}."));
            return;
        }

        foreach (var (mac, encoding) in macs)
        {
            if (encoding != scheme.Encoding)
            {
                findings.Add(new("wrong-encoding", $"The signature is written in {Name(encoding)}; {Name(scheme.Encoding)} is expected."));
            }

            if (mac.Length != scheme.MacBytes)
            {
                findings.Add(new("wrong-algorithm", string.Create(
                    CultureInfo.InvariantCulture, $"The signature has {mac.Length} bytes; HMAC-{Name(scheme.Algorithm)} has {scheme.MacBytes}.")));
            }

            if (secrets.Count > 0 && Search(scheme, mac, delivery, secrets) is { } found)
            {
                findings.Add(found);
                return;
            }
        }

        if (secrets.Count > 0)
        {
            findings.Add(new("no-secret-fits", "No secret of this source gives this signature, in any of the ways that senders usually differ in. Is it the secret of this very subscription?"));
        }
    }

    /// <summary>Tries every usual way; those that differ least come first.</summary>
    private static HrFinding? Search(HmacScheme scheme, byte[] mac, Delivery delivery, IReadOnlyList<byte[]> secrets)
    {
        MacAlgorithm? algorithm = mac.Length switch { 32 => MacAlgorithm.Sha256, 48 => MacAlgorithm.Sha384, 64 => MacAlgorithm.Sha512, _ => null };
        if (algorithm is null)
        {
            return null;
        }

        List<(string Content, string? Words)> layouts =
            [(scheme.Content, null), .. Layouts.Where(layout => layout.Content != scheme.Content).Select(static layout => (layout.Content, (string?)layout.Words))];
        var bodies = Bodies(delivery.Body);
        HrFinding? best = null;
        var fewest = int.MaxValue;
        for (var index = 0; index < secrets.Count; index++)
        {
            foreach (var (key, keyWords) in Keys(secrets[index]))
            {
                foreach (var (content, contentWords) in layouts)
                {
                    foreach (var (body, bodyWords) in bodies)
                    {
                        var differences = (keyWords is null ? 0 : 1) + (contentWords is null ? 0 : 1) + (bodyWords is null ? 0 : 1);
                        if (differences < fewest && Fits(algorithm.Value, key, content, delivery, body, mac))
                        {
                            (fewest, best) = (differences, Describe(index, keyWords, contentWords, bodyWords));
                        }
                    }
                }
            }
        }

        return best;
    }

    private static HrFinding Describe(int index, string? key, string? content, string? body)
    {
        var ways = new List<string>(3);
        if (key is not null)
        {
            ways.Add($"the secret is taken {key}");
        }

        if (content is not null)
        {
            ways.Add($"{content} is signed");
        }

        if (body is not null)
        {
            ways.Add($"the body is {body}");
        }

        var secret = string.Create(CultureInfo.InvariantCulture, $"Secrets:{index}");
        return ways.Count == 0
            ? new("secret-fits", $"The signature is that of {secret}.")
            : new(key is not null ? "secret-encoding" : content is not null ? "signed-content" : "body-changed", $"The signature is that of {secret} if {string.Join(" and ", ways)}.");
    }

    private static bool Fits(MacAlgorithm algorithm, byte[] key, string content, Delivery delivery, byte[] body, byte[] mac)
    {
        Span<byte> computed = stackalloc byte[MaxMacBytes];
        var buffer = HmacScheme.Compose(content, delivery.Id, delivery.Timestamp, body, out var length);
        HmacScheme.Hash(algorithm, key, buffer.AsSpan(0, length), computed);
        ArrayPool<byte>.Shared.Return(buffer);
        return CryptographicOperations.FixedTimeEquals(computed[..mac.Length], mac);
    }

    /// <summary>The key, and what a sender may have made of the same secret.</summary>
    private static List<(byte[] Key, string? Words)> Keys(byte[] key)
    {
        var keys = new List<(byte[], string?)> { (key, null) };
        var base64 = Convert.ToBase64String(key);
        keys.Add((Encoding.UTF8.GetBytes($"whsec_{base64}"), "as text with whsec_, not decoded"));
        keys.Add((Encoding.UTF8.GetBytes(base64), "as the text after whsec_, not decoded"));
        if (!System.Text.Unicode.Utf8.IsValid(key))
        {
            return keys;
        }

        var text = Encoding.UTF8.GetString(key);
        var buffer = new byte[key.Length];
        if (Convert.TryFromBase64String(text, buffer, out var written) && written > 0)
        {
            keys.Add((buffer[..written], "decoded from base64"));
        }

        if (text.Length % 2 == 0 && Convert.FromHexString(text, buffer, out _, out written) == OperationStatus.Done)
        {
            keys.Add((buffer[..written], "decoded from hexadecimal"));
        }

        keys.Add((Encoding.UTF8.GetBytes(text + "\n"), "with a line end behind it"));
        return keys;
    }

    /// <summary>The body, and what it may have been before something wrote it anew.</summary>
    private static List<(byte[] Body, string? Words)> Bodies(ReadOnlyMemory<byte> body)
    {
        var bytes = body.ToArray();
        var bodies = new List<(byte[], string?)> { (bytes, null) };
        Add(bytes.AsSpan().TrimEnd("\r\n"u8).ToArray(), "without the line end at its end");
        Add([.. bytes, (byte)'\n'], "with a line end at its end");
        if (System.Text.Unicode.Utf8.IsValid(bytes))
        {
            var text = Encoding.UTF8.GetString(bytes);
            Add(Encoding.UTF8.GetBytes(text.Replace("\r\n", "\n", StringComparison.Ordinal)), "with LF for CR LF");
            Add(Encoding.UTF8.GetBytes(text.Replace("\n", "\r\n", StringComparison.Ordinal)), "with CR LF for LF");
        }

        try
        {
            using var document = JsonDocument.Parse(body, new JsonDocumentOptions { MaxDepth = JsonFields.MaxDepth });
            const string Anew = "written anew as JSON, {0}: something between the sender and here parsed it";
            Add(Write(document.RootElement, ",", ":"), string.Format(CultureInfo.InvariantCulture, Anew, "without spaces"));
            Add(Write(document.RootElement, ", ", ": "), string.Format(CultureInfo.InvariantCulture, Anew, "with a space after commas and colons"));
            using var indented = new MemoryStream();
            using (var writer = new Utf8JsonWriter(indented, new JsonWriterOptions { Indented = true, NewLine = "\n" }))
            {
                document.RootElement.WriteTo(writer);
            }

            Add(indented.ToArray(), string.Format(CultureInfo.InvariantCulture, Anew, "indented"));
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            // It is no JSON; then nothing wrote it anew as such.
        }

        return bodies;

        void Add(byte[] other, string words)
        {
            if (!other.AsSpan().SequenceEqual(bytes))
            {
                bodies.Add((other, words));
            }
        }
    }

    /// <summary>Writes JSON with other space; names, texts and numbers stay as they are written.</summary>
    private static byte[] Write(JsonElement root, string comma, string colon)
    {
        var text = new StringBuilder();
        Append(root);
        return Encoding.UTF8.GetBytes(text.ToString());

        void Append(JsonElement element)
        {
            switch (element.ValueKind)
            {
                case JsonValueKind.Object:
                    text.Append('{');
                    var isFirst = true;
                    foreach (var property in element.EnumerateObject())
                    {
                        text.Append(isFirst ? "" : comma).Append('"').Append(JsonEncodedText.Encode(property.Name).ToString()).Append('"').Append(colon);
                        Append(property.Value);
                        isFirst = false;
                    }

                    text.Append('}');
                    break;
                case JsonValueKind.Array:
                    text.Append('[');
                    var index = 0;
                    foreach (var item in element.EnumerateArray())
                    {
                        text.Append(index++ == 0 ? "" : comma);
                        Append(item);
                    }

                    text.Append(']');
                    break;
                default:
                    text.Append(element.GetRawText());
                    break;
            }
        }
    }

    private static (byte[] Mac, MacEncoding Encoding)? Decode(string text)
    {
        var buffer = new byte[text.Length];
        if (text.Length is 40 or 64 or 96 or 128 && Convert.FromHexString(text, buffer, out _, out var written) == OperationStatus.Done)
        {
            return (buffer[..written], MacEncoding.Hex);
        }

        return Convert.TryFromBase64String(text, buffer, out written) && written is 20 or 32 or 48 or 64 ? (buffer[..written], MacEncoding.Base64) : null;
    }

    private static string Name(MacEncoding encoding) => encoding == MacEncoding.Hex ? "hexadecimal" : "base64";

    private static string Name(MacAlgorithm algorithm) => algorithm switch
    {
        MacAlgorithm.Sha256 => "SHA-256", MacAlgorithm.Sha384 => "SHA-384", _ => "SHA-512",
    };

    private sealed record Delivery(string Id, string Timestamp, ReadOnlyMemory<byte> Body);
}
