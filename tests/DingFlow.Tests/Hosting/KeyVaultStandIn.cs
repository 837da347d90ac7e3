using System.Collections.Concurrent;
using System.Net;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Threading.Channels;
using Azure.Core;
using Azure.Core.Pipeline;
using Azure.Identity;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging;

namespace DingFlow.Tests.Hosting;

/// <summary>Stands in for a vault: https on the loopback with a certificate of its own, the authentication challenge, lists in pages of two.</summary>
internal sealed class KeyVaultStandIn : IAsyncDisposable
{
    private const int PageSize = 2;
    private readonly WebApplication _app;
    private readonly X509Certificate2 _certificate;

    private KeyVaultStandIn(WebApplication app, X509Certificate2 certificate) => (_app, _certificate) = (app, certificate);

    /// <summary>Value, and the attributes that decide whether it is read.</summary>
    public ConcurrentDictionary<string, (string Value, bool Enabled, bool Managed)> Secrets { get; } = new(StringComparer.Ordinal);

    /// <summary>Answers every request with this status.</summary>
    public int? AlwaysStatus { get; set; }

    /// <summary>Answers no request.</summary>
    public bool Silent { get; set; }

    public ConcurrentQueue<string> Requests { get; } = new();

    public Uri Uri => new(_app.Urls.Single());

    public KeyVaultTestCredential Credential { get; } = new();

    /// <summary>A transport that trusts this stand-in's certificate and no other.</summary>
    public HttpPipelineTransport CreateTransport() => new HttpClientTransport(new HttpClient(new SocketsHttpHandler
    {
        SslOptions = { RemoteCertificateValidationCallback = (_, certificate, _, _) => certificate!.GetCertHashString() == _certificate.GetCertHashString() },
    }));

    public static async Task<KeyVaultStandIn> StartAsync(CancellationToken cancellationToken)
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var now = TimeProvider.System.GetUtcNow();
        using var temporary = new CertificateRequest("CN=127.0.0.1", key, HashAlgorithmName.SHA256).CreateSelfSigned(now.AddDays(-1), now.AddDays(1));
        var certificate = X509CertificateLoader.LoadPkcs12(temporary.Export(X509ContentType.Pkcs12), null);

        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.UseKestrelHttpsConfiguration();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0, listener => listener.UseHttps(certificate)));
        var app = builder.Build();
        var standIn = new KeyVaultStandIn(app, certificate);
        app.Run(standIn.AnswerAsync);
        await app.StartAsync(cancellationToken);
        return standIn;
    }

    public async ValueTask DisposeAsync()
    {
        await _app.DisposeAsync();
        _certificate.Dispose();
    }

    private async Task AnswerAsync(HttpContext context)
    {
        Requests.Enqueue($"{context.Request.Path}{context.Request.QueryString}");
        context.Response.ContentType = "application/json";
        if (Silent)
        {
            var gone = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            await using var registration = context.RequestAborted.Register(() => gone.TrySetResult());
            await gone.Task;
        }
        else if (context.Request.Headers.Authorization != "Bearer vault-token")
        {
            context.Response.StatusCode = 401;
            context.Response.Headers.WWWAuthenticate = "Bearer authorization=\"https://login.example/tenant-1\", resource=\"https://vault.azure.net\"";
        }
        else if (AlwaysStatus is { } status)
        {
            context.Response.StatusCode = status;
            await context.Response.WriteAsync("""{"error":{"code":"Forbidden","message":"secret-text"}}""");
        }
        else
        {
            await ServeAsync(context);
        }
    }

    private async Task ServeAsync(HttpContext context)
    {
        var segments = context.Request.Path.Value!.Split('/', StringSplitOptions.RemoveEmptyEntries);
        if (segments is ["secrets"])
        {
            var skip = int.TryParse(context.Request.Query["skip"], out var number) ? number : 0;
            var names = Secrets.Keys.Order(StringComparer.Ordinal).ToList();
            var items = names.Skip(skip).Take(PageSize).Select(name =>
                $$$"""{"id":"{{{Uri}}}secrets/{{{name}}}","managed":{{{Text(Secrets[name].Managed)}}},"attributes":{"enabled":{{{Text(Secrets[name].Enabled)}}} } }""");
            var next = skip + PageSize < names.Count ? $"\"{Uri}secrets?api-version=7.4&skip={skip + PageSize}\"" : "null";
            await context.Response.WriteAsync($$"""{"value":[{{string.Join(',', items)}}],"nextLink":{{next}} }""");
        }
        else if (segments is ["secrets", var name, ..] && Secrets.TryGetValue(name, out var secret))
        {
            await context.Response.WriteAsync(
                $$$"""{"id":"{{{Uri}}}secrets/{{{name}}}/1","value":"{{{secret.Value}}}","attributes":{"enabled":true} }""");
        }
        else
        {
            context.Response.StatusCode = 404;
            await context.Response.WriteAsync("""{"error":{"code":"SecretNotFound","message":"none"} }""");
        }
    }

    private static string Text(bool value) => value ? "true" : "false";
}

internal sealed class KeyVaultTestCredential : TokenCredential
{
    public ConcurrentQueue<string> Scopes { get; } = new();

    public bool Fails { get; set; }

    public override AccessToken GetToken(TokenRequestContext requestContext, CancellationToken cancellationToken) =>
        throw new NotSupportedException();

    public override ValueTask<AccessToken> GetTokenAsync(TokenRequestContext requestContext, CancellationToken cancellationToken)
    {
        Scopes.Enqueue(string.Join(' ', requestContext.Scopes));
        return Fails
            ? throw new CredentialUnavailableException("no identity here")
            : new(new AccessToken("vault-token", TimeProvider.System.GetUtcNow().AddHours(1)));
    }
}

/// <summary>Hands out the warnings that were logged.</summary>
internal sealed class KeyVaultTestLog : ILoggerProvider, ILogger
{
    private readonly Channel<string> _warnings = Channel.CreateUnbounded<string>();

    public async Task<string> WarningAsync(CancellationToken cancellationToken) => await _warnings.Reader.ReadAsync(cancellationToken);

    public ILogger CreateLogger(string categoryName) => this;

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Warning;

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
        _warnings.Writer.TryWrite($"{formatter(state, exception)} {exception}");

    public void Dispose() => _warnings.Writer.TryComplete();
}
