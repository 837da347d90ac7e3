using System.Net;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using DingFlow.Hosting;
using DingFlow.Settings;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Configuration;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;

namespace DingFlow.Tests.Hosting;

public sealed class AuthenticationTests
{
    private const string Audience = "api://dingflow";

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task A_key_with_the_role_passes_and_the_function_knows_who_calls()
    {
        await using var program = await Program().StartAsync();
        using var client = program.CreateOperator();

        Assert.Equal("key:test", await client.GetStringAsync("/api/probe", Cancellation));
    }

    [Theory]
    [InlineData(null, "Bearer")]
    [InlineData("Bearer wrong", "Bearer error=\"invalid_token\"")]
    [InlineData("Bearer ", "Bearer error=\"invalid_token\"")]
    [InlineData("Basic dGVzdDp0ZXN0", "Bearer error=\"invalid_token\"")]
    [InlineData("Bearer a.b.c", "Bearer error=\"invalid_token\"")]
    public async Task Whoever_is_not_known_is_unauthorized(string? authorization, string challenge)
    {
        await using var program = await Program().StartAsync();
        using var request = new HttpRequestMessage(HttpMethod.Get, "/api/probe");
        if (authorization is not null)
        {
            Assert.True(request.Headers.TryAddWithoutValidation("Authorization", authorization));
        }

        using var answer = await program.Client.SendAsync(request, Cancellation);

        Assert.Equal(HttpStatusCode.Unauthorized, answer.StatusCode);
        Assert.Equal("application/problem+json", answer.Content.Headers.ContentType?.MediaType);
        Assert.Equal(challenge, answer.Headers.WwwAuthenticate.ToString());
    }

    [Fact]
    public async Task A_key_without_the_role_is_forbidden()
    {
        await using var program = await Program(Roles.OperationsWrite).StartAsync();
        using var client = program.CreateOperator();

        using var answer = await client.GetAsync("/api/probe", Cancellation);

        Assert.Equal(HttpStatusCode.Forbidden, answer.StatusCode);
        Assert.Contains("urn:dingflow:problem:forbidden", await answer.Content.ReadAsStringAsync(Cancellation), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_valid_token_of_the_tenant_passes_under_its_object_id()
    {
        await using var issuer = await Issuer.StartAsync();
        await using var program = await WithIssuer(issuer).StartAsync();

        using var answer = await Call(program, issuer.Token());

        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        Assert.Equal("entra:11111111-2222-3333-4444-555555555555", await answer.Content.ReadAsStringAsync(Cancellation));
    }

    [Fact]
    public async Task The_first_token_under_a_rotated_key_passes()
    {
        await using var issuer = await Issuer.StartAsync();
        await using var program = await WithIssuer(issuer).StartAsync();
        using var before = await Call(program, issuer.Token());

        issuer.Rotate();
        using var after = await Call(program, issuer.Token());

        Assert.Equal((HttpStatusCode.OK, HttpStatusCode.OK), (before.StatusCode, after.StatusCode));
    }

    [Fact]
    public async Task A_token_that_is_wrong_in_any_way_is_unauthorized()
    {
        await using var issuer = await Issuer.StartAsync();
        await using var program = await WithIssuer(issuer).StartAsync();
        using var otherKey = RSA.Create(2048);
        var now = TimeProvider.System.GetUtcNow();
        var wrong = new Dictionary<string, string>
        {
            ["another audience"] = issuer.Token(audience: "api://another"),
            ["another issuer"] = issuer.Token(tokenIssuer: "https://login.example/other"),
            ["expired"] = issuer.Token(from: now.AddHours(-2), to: now.AddMinutes(-3)),
            ["not yet valid"] = issuer.Token(from: now.AddMinutes(10), to: now.AddHours(1)),
            ["another key"] = issuer.Token(credentials: new SigningCredentials(new RsaSecurityKey(otherKey) { KeyId = "k1" }, SecurityAlgorithms.RsaSha256)),
            ["unknown key"] = issuer.Token(credentials: new SigningCredentials(new RsaSecurityKey(otherKey) { KeyId = "k9" }, SecurityAlgorithms.RsaSha256)),
            ["another algorithm"] = issuer.Token(credentials: new SigningCredentials(issuer.Key, SecurityAlgorithms.RsaSsaPssSha256)),
            ["symmetric with the public key"] = issuer.Token(credentials: new SigningCredentials(
                new SymmetricSecurityKey(issuer.PublicKey) { KeyId = "k1" }, SecurityAlgorithms.HmacSha256)),
            ["unsigned"] = $"{issuer.Token(credentials: null, sign: false)}",
            ["no object id"] = issuer.Token(objectId: null),
        };

        foreach (var (why, token) in wrong)
        {
            using var answer = await Call(program, token);
            Assert.True(answer.StatusCode == HttpStatusCode.Unauthorized, $"{why}: {answer.StatusCode}");
        }
    }

    [Fact]
    public async Task A_valid_token_without_the_role_is_forbidden()
    {
        await using var issuer = await Issuer.StartAsync();
        await using var program = await WithIssuer(issuer).StartAsync();

        using var answer = await Call(program, issuer.Token(roles: []));

        Assert.Equal(HttpStatusCode.Forbidden, answer.StatusCode);
    }

    [Fact]
    public async Task Without_the_issuers_keys_a_token_cannot_be_judged()
    {
        await using var issuer = await Issuer.StartAsync();
        await using var program = await WithIssuer(issuer).StartAsync();
        var token = issuer.Token();
        await issuer.StopAsync();

        using var answer = await Call(program, token);

        Assert.Equal(HttpStatusCode.ServiceUnavailable, answer.StatusCode);
        Assert.NotNull(answer.Headers.RetryAfter);
    }

    [Theory]
    [InlineData("Auth:ApiKeys:x:Hash", "abc", "Auth:ApiKeys:x:Hash")]
    [InlineData("Auth:ApiKeys:x:Hash", "sha256:zz", "Auth:ApiKeys:x:Hash")]
    [InlineData("Auth:ApiKeys:x:Hash", "@Microsoft.KeyVault(SecretUri=https://v)", "Auth:ApiKeys:x:Hash")]
    [InlineData("Auth:ApiKeys:x:Roles", "operations.read,root", "Auth:ApiKeys:x:Roles")]
    [InlineData("Auth:ApiKeys:x:Roles", "", "Auth:ApiKeys:x:Roles")]
    [InlineData("Auth:Authority", "http://login.example/t", "Auth:Authority")]
    [InlineData("Auth:Authority", "https://login.microsoftonline.com/common/v2.0", "Auth:Authority")]
    [InlineData("Auth:Audience", "", "Auth:Audience")]
    public void A_malformed_setting_is_a_fault(string setting, string value, string named)
    {
        var settings = new Dictionary<string, string?>
        {
            ["Auth:ApiKeys:x:Hash"] = $"sha256:{new string('0', 64)}",
            ["Auth:ApiKeys:x:Roles"] = Roles.OperationsRead,
            ["Auth:Authority"] = "https://login.microsoftonline.com/tenant/v2.0",
            ["Auth:Audience"] = Audience,
            [setting] = value,
        };

        Assert.StartsWith($"{named}: ", Assert.Single(Faults(settings)), StringComparison.Ordinal);
    }

    [Fact]
    public void Nobody_able_to_sign_in_is_a_fault_under_the_functions_host_only()
    {
        Assert.Single(Faults([]));
        Assert.Empty(Faults([], HostMode.Standalone));
    }

    [Fact]
    public void Exporters_of_a_key_are_kept()
    {
        var settings = new Dictionary<string, string?>
        {
            ["Auth:ApiKeys:x:Hash"] = $"sha256:{new string('0', 64)}",
            ["Auth:ApiKeys:x:Roles"] = Roles.OperationsRead,
            ["Auth:ApiKeys:x:Exporters"] = "acme-zhuhai, acme-sg",
        };

        var options = AuthOptions.Read(Configuration(settings), HostMode.FunctionsHost, new SettingsFaults());

        Assert.Equal(["acme-sg", "acme-zhuhai"], Assert.Single(options.ApiKeys).Exporters.Order());
    }

    private static IReadOnlyList<string> Faults(Dictionary<string, string?> settings, HostMode mode = HostMode.FunctionsHost)
    {
        var faults = new SettingsFaults();
        AuthOptions.Read(Configuration(settings), mode, faults);
        return faults.All;
    }

    private static IConfigurationRoot Configuration(Dictionary<string, string?> settings) =>
        new ConfigurationBuilder().AddInMemoryCollection(settings).Build();

    private static TestProgram Program(string role = Roles.OperationsRead) => new TestProgram().Function(
        TestProgram.HttpJson("probe", "get"), new HttpProbe(context => context.Response.WriteAsync(context.Principal() ?? "nobody")), role);

    private static TestProgram WithIssuer(Issuer issuer) =>
        Program().Setting("Auth:Authority", issuer.Address).Setting("Auth:Audience", Audience);

    private static async Task<HttpResponseMessage> Call(TestProgram program, string token)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, "/api/probe");
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", token);
        return await program.Client.SendAsync(request, Cancellation);
    }

    /// <summary>Stands in for the tenant's metadata and keys.</summary>
    private sealed class Issuer : IAsyncDisposable
    {
        private readonly WebApplication _app;
        private RSA _rsa = RSA.Create(2048);

        private Issuer()
        {
            Key = new RsaSecurityKey(_rsa) { KeyId = "k1" };
            var builder = WebApplication.CreateSlimBuilder();
            builder.WebHost.UseUrls("http://127.0.0.1:0");
            _app = builder.Build();
            _app.MapGet("/tenant/.well-known/openid-configuration", (HttpContext context) => context.Response.WriteAsync(
                $$"""{"issuer":"{{Address}}","jwks_uri":"{{Address}}/keys"}"""));
            _app.MapGet("/tenant/keys", (HttpContext context) =>
            {
                var parameters = _rsa.ExportParameters(includePrivateParameters: false);
                return context.Response.WriteAsync(
                    $$"""
                    {"keys":[{"kty":"RSA","use":"sig","kid":"{{Key.KeyId}}","n":"{{Base64UrlEncoder.Encode(parameters.Modulus)}}","e":"{{Base64UrlEncoder.Encode(parameters.Exponent)}}"}]}
                    """);
            });
        }

        public RsaSecurityKey Key { get; private set; }

        /// <summary>A new key signs; the old one is published no longer.</summary>
        public void Rotate()
        {
            _rsa = RSA.Create(2048);
            Key = new RsaSecurityKey(_rsa) { KeyId = "k2" };
        }

        public byte[] PublicKey => _rsa.ExportSubjectPublicKeyInfo();

        public string Address => $"{_app.Urls.First()}/tenant";

        public static async Task<Issuer> StartAsync()
        {
            var issuer = new Issuer();
            await issuer._app.StartAsync(Cancellation);
            return issuer;
        }

        public Task StopAsync() => _app.StopAsync(Cancellation);

        public string Token(
            string audience = Audience, string? tokenIssuer = null, DateTimeOffset? from = null, DateTimeOffset? to = null,
            SigningCredentials? credentials = null, bool sign = true, string? objectId = "11111111-2222-3333-4444-555555555555", string[]? roles = null)
        {
            var now = TimeProvider.System.GetUtcNow();
            var claims = new Dictionary<string, object> { ["roles"] = roles ?? [Roles.OperationsRead] };
            if (objectId is not null)
            {
                claims["oid"] = objectId;
            }

            return new JsonWebTokenHandler { SetDefaultTimesOnTokenCreation = false }.CreateToken(new SecurityTokenDescriptor
            {
                Issuer = tokenIssuer ?? Address,
                Audience = audience,
                NotBefore = (from ?? now.AddMinutes(-1)).UtcDateTime,
                Expires = (to ?? now.AddHours(1)).UtcDateTime,
                Claims = claims,
                SigningCredentials = sign ? credentials ?? new SigningCredentials(Key, SecurityAlgorithms.RsaSha256) : null,
            });
        }

        public async ValueTask DisposeAsync()
        {
            await _app.DisposeAsync();
            _rsa.Dispose();
        }
    }
}
