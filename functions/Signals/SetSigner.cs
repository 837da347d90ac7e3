using System.Buffers;
using System.Security.Cryptography;
using System.Text.Json;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;

namespace DingFlow.Signals;

/// <summary>
/// Signs our tokens with the first of <c>Signals:SigningKeys</c> and publishes all of them, so that receivers know the next key before it
/// signs, and the last one while they still hold its tokens. A key's id is its thumbprint (RFC 7638).
/// </summary>
internal sealed class SetSigner(SignalOptions options) : IDisposable
{
    private readonly Lazy<List<Signer>> _signers = new(() => [.. options.SigningKeys.Select(static key => new Signer(key))]);
    private readonly JsonWebTokenHandler _handler = new() { SetDefaultTimesOnTokenCreation = false };

    /// <summary>The token in its compact form.</summary>
    public string Sign(string claims)
    {
        var signer = _signers.Value[0];
        return _handler.CreateToken(
            claims, new SigningCredentials(signer.Key, signer.Algorithm), new Dictionary<string, object> { [JwtHeaderParameterNames.Typ] = "secevent+jwt" });
    }

    /// <summary>The public keys (RFC 7517), as JSON.</summary>
    public ReadOnlyMemory<byte> PublicKeys()
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var writer = new Utf8JsonWriter(buffer))
        {
            writer.WriteStartObject();
            writer.WriteStartArray("keys"u8);
            foreach (var signer in _signers.Value)
            {
                signer.Write(writer);
            }

            writer.WriteEndArray();
            writer.WriteEndObject();
        }

        return buffer.WrittenMemory;
    }

    public void Dispose()
    {
        if (_signers.IsValueCreated)
        {
            foreach (var signer in _signers.Value)
            {
                signer.Dispose();
            }
        }
    }

    private sealed class Signer : IDisposable
    {
        private readonly AsymmetricAlgorithm _pair;
        private readonly JsonWebKey _public;

        public Signer(SigningKeyBytes bytes)
        {
            if (bytes.IsRsa)
            {
                var rsa = RSA.Create();
                rsa.ImportPkcs8PrivateKey(bytes.Pkcs8.Span, out _);
                (_pair, Key, Algorithm) = (rsa, new RsaSecurityKey(rsa), SecurityAlgorithms.RsaSha256);
                _public = JsonWebKeyConverter.ConvertFromRSASecurityKey(new RsaSecurityKey(rsa.ExportParameters(false)));
            }
            else
            {
                var curve = ECDsa.Create();
                curve.ImportPkcs8PrivateKey(bytes.Pkcs8.Span, out _);
                (_pair, Key, Algorithm) = (curve, new ECDsaSecurityKey(curve), SecurityAlgorithms.EcdsaSha256);
                _public = JsonWebKeyConverter.ConvertFromECDsaSecurityKey(new ECDsaSecurityKey(ECDsa.Create(curve.ExportParameters(false))));
            }

            Key.KeyId = Base64UrlEncoder.Encode(_public.ComputeJwkThumbprint());
            // The library's cache is shared by the whole process and would outlive the key.
            Key.CryptoProviderFactory = new CryptoProviderFactory { CacheSignatureProviders = false };
        }

        public SecurityKey Key { get; }

        public string Algorithm { get; }

        public void Write(Utf8JsonWriter writer)
        {
            writer.WriteStartObject();
            writer.WriteString("kty"u8, _public.Kty);
            writer.WriteString("kid"u8, Key.KeyId);
            writer.WriteString("use"u8, "sig"u8);
            writer.WriteString("alg"u8, Algorithm);
            if (_public.Kty == JsonWebAlgorithmsKeyTypes.RSA)
            {
                writer.WriteString("n"u8, _public.N);
                writer.WriteString("e"u8, _public.E);
            }
            else
            {
                writer.WriteString("crv"u8, _public.Crv);
                writer.WriteString("x"u8, _public.X);
                writer.WriteString("y"u8, _public.Y);
            }

            writer.WriteEndObject();
        }

        public void Dispose() => _pair.Dispose();
    }
}
