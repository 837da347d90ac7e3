using System.Globalization;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using DingFlow.Settings;

namespace DingFlow.Intake.Dialects;

/// <summary>
/// Senders that sign nothing and show who they are: by Basic authentication (RFC 7617; a secret is <c>user:password</c>) or by the client
/// certificate that the platform checked the possession of and hands on in a header. With client certificates switched on, App Service
/// and Functions do so in <c>X-ARR-ClientCert</c>, base64 of the DER, in place of one that a request brings along (k); elsewhere the
/// proxy in front must, which is why there the header has no default.
/// </summary>
internal sealed class SenderCredentials
{
    private const string UsualHeader = "X-ARR-ClientCert";
    private const int MaxHeaderLength = 16 * 1024;
    private const int MaxCertificates = 4;
    private readonly string _certificateHeader;
    private readonly List<byte[]> _thumbprints;

    private SenderCredentials(string certificateHeader, List<byte[]> thumbprints) => (_certificateHeader, _thumbprints) = (certificateHeader, thumbprints);

    /// <summary>None at all: nobody is accepted.</summary>
    public static SenderCredentials None { get; } = new(UsualHeader, []);

    /// <summary>Certificates are accepted.</summary>
    public bool HasCertificates => _thumbprints.Count > 0;

    /// <summary>
    /// Reads <c>ClientCertificates:0…</c>, SHA-256 thumbprints of which any is accepted, and <c>ClientCertificateHeader</c>.
    /// </summary>
    public static SenderCredentials Read(SettingsReader reader)
    {
        var thumbprints = new List<byte[]>();
        foreach (var text in reader.List("ClientCertificates"))
        {
            var bytes = new byte[SHA256.HashSizeInBytes];
            var digits = text.Replace(":", "", StringComparison.Ordinal);
            if (digits.Length != bytes.Length * 2 || Convert.FromHexString(digits, bytes, out _, out _) != System.Buffers.OperationStatus.Done)
            {
                reader.Fault("ClientCertificates", "must hold SHA-256 thumbprints: 64 hexadecimal digits each");
                break;
            }

            thumbprints.Add(bytes);
        }

        if (thumbprints.Count > MaxCertificates)
        {
            reader.Fault("ClientCertificates", string.Create(CultureInfo.InvariantCulture, $"may hold {MaxCertificates} thumbprints"));
        }

        return new SenderCredentials(reader.Text("ClientCertificateHeader") ?? UsualHeader, thumbprints);
    }

    /// <summary>Reads a secret <c>user:password</c>; its SHA-256 is kept, so that comparing takes the same time for every length.</summary>
    public static byte[]? ReadSecret(SettingsReader reader, string name)
    {
        ArgumentNullException.ThrowIfNull(reader);
        var text = reader.Required(name);
        if (text.Length == 0)
        {
            return null;
        }

        var colon = text.IndexOf(':', StringComparison.Ordinal);
        if (colon < 1 || text.Length - colon - 1 < 12)
        {
            reader.Fault(name, "must be user:password with a password of at least 12 characters");
            return null;
        }

        return HashOf(text);
    }

    /// <summary>Checks who sends. A certificate counts after the secrets: its index is their number and more.</summary>
    public HrVerification Verify(IHeaderDictionary headers, IReadOnlyList<byte[]> secrets, DateTimeOffset now)
    {
        ArgumentNullException.ThrowIfNull(headers);
        ArgumentNullException.ThrowIfNull(secrets);
        var (authorizations, certificates) = (headers.Authorization, headers[_certificateHeader]);
        if ((secrets.Count == 0 || authorizations.Count == 0) && (!HasCertificates || certificates.Count == 0))
        {
            return HrVerification.Refused(SignatureVerdict.MissingHeader);
        }

        if (HasCertificates && certificates.Count > 0)
        {
            if (certificates is not [{ } header] || Certificate(header) is not { } certificate)
            {
                return HrVerification.Refused(SignatureVerdict.MalformedHeader);
            }

            using (certificate)
            {
                if (IndexOf(_thumbprints, certificate.GetCertHash(HashAlgorithmName.SHA256)) is >= 0 and var index)
                {
                    return now < certificate.NotBefore || now > certificate.NotAfter
                        ? HrVerification.Refused(SignatureVerdict.Stale)
                        : new HrVerification(SignatureVerdict.Valid, secrets.Count + index, null);
                }
            }
        }

        if (secrets.Count == 0 || authorizations.Count == 0)
        {
            return HrVerification.Refused(SignatureVerdict.Mismatch);
        }

        if (authorizations is not [{ } authorization] || BasicOf(authorization) is not { } basic)
        {
            return HrVerification.Refused(SignatureVerdict.MalformedHeader);
        }

        var found = IndexOf(secrets, HashOf(basic));
        return found < 0 ? HrVerification.Refused(SignatureVerdict.Mismatch) : new HrVerification(SignatureVerdict.Valid, found, null);
    }

    /// <summary>Says what is wrong.</summary>
    public IReadOnlyList<HrFinding> Diagnose(IHeaderDictionary headers, IReadOnlyList<byte[]> secrets, DateTimeOffset now)
    {
        var findings = new List<HrFinding>();
        if (secrets.Count > 0 || !HasCertificates)
        {
            DiagnoseBasic(headers, secrets, findings);
        }

        if (HasCertificates)
        {
            DiagnoseCertificate(headers, now, findings);
        }

        return findings;
    }

    private static void DiagnoseBasic(IHeaderDictionary headers, IReadOnlyList<byte[]> secrets, List<HrFinding> findings)
    {
        if (headers.Authorization is not [{ } authorization])
        {
            findings.Add(headers.Authorization.Count == 0
                ? new("missing-header", "The request has no Authorization header.")
                : new("repeated-header", "The request has several Authorization headers."));
        }
        else if (BasicOf(authorization) is not { } basic)
        {
            findings.Add(new("malformed-header", "The Authorization header is not 'Basic' followed by base64 of user:password in UTF-8."));
        }
        else if (IndexOf(secrets, HashOf(basic)) is >= 0 and var index)
        {
            findings.Add(new("secret-fits", string.Create(CultureInfo.InvariantCulture, $"The user and password are those of Secrets:{index}.")));
        }
        else
        {
            findings.Add(IndexOf(secrets, HashOf(basic.Trim())) >= 0
                ? new("secret-whitespace", "The user and password fit once space around them is removed.")
                : new("no-secret-fits", "The user and password are those of no secret of this source."));
        }
    }

    private void DiagnoseCertificate(IHeaderDictionary headers, DateTimeOffset now, List<HrFinding> findings)
    {
        if (headers[_certificateHeader] is not [{ } header])
        {
            findings.Add(new(
                "missing-header",
                $"The request has no header {_certificateHeader}, or several: is mutual TLS switched on in front of this program, and does the sender present a certificate?"));
            return;
        }

        using var certificate = Certificate(header);
        if (certificate is null)
        {
            findings.Add(new("malformed-header", $"The header {_certificateHeader} holds no certificate as base64 of DER, or as PEM."));
            return;
        }

        var thumbprint = Convert.ToHexStringLower(certificate.GetCertHash(HashAlgorithmName.SHA256));
        findings.Add(IndexOf(_thumbprints, Convert.FromHexString(thumbprint)) < 0
            ? new("no-certificate-fits", $"The certificate's SHA-256 thumbprint is {thumbprint}; ClientCertificates does not have it.")
            : now < certificate.NotBefore || now > certificate.NotAfter
                ? new("certificate-expired", "The certificate is not valid at this time.")
                : new("certificate-fits", "The certificate is one of ClientCertificates."));
    }

    private static X509Certificate2? Certificate(string header)
    {
        if (header.Length > MaxHeaderLength)
        {
            return null;
        }

        try
        {
            // Proxies other than the platform's send PEM, percent-encoded or not.
            var text = header.Contains('%', StringComparison.Ordinal) ? Uri.UnescapeDataString(header) : header;
            return text.Contains("-----BEGIN", StringComparison.Ordinal)
                ? X509Certificate2.CreateFromPem(text)
                : X509CertificateLoader.LoadCertificate(Convert.FromBase64String(text));
        }
        catch (Exception exception) when (exception is FormatException or CryptographicException or ArgumentException)
        {
            return null;
        }
    }

    private static string? BasicOf(string authorization)
    {
        const string Scheme = "Basic ";
        if (authorization.Length > MaxHeaderLength || !authorization.StartsWith(Scheme, StringComparison.OrdinalIgnoreCase))
        {
            return null;
        }

        var buffer = new byte[authorization.Length];
        return Convert.TryFromBase64Chars(authorization.AsSpan(Scheme.Length).Trim(), buffer, out var written)
            && System.Text.Unicode.Utf8.IsValid(buffer.AsSpan(0, written))
            ? Encoding.UTF8.GetString(buffer, 0, written)
            : null;
    }

    private static byte[] HashOf(string text) => SHA256.HashData(Encoding.UTF8.GetBytes(text));

    private static int IndexOf(IReadOnlyList<byte[]> known, ReadOnlySpan<byte> candidate)
    {
        var found = -1;
        for (var index = 0; index < known.Count; index++)
        {
            if (CryptographicOperations.FixedTimeEquals(known[index], candidate) && found < 0)
            {
                found = index;
            }
        }

        return found;
    }
}
