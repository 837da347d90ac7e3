using System.Globalization;
using System.Security;
using System.Text;
using Azure.Core;
using DingFlow.Audit;
using DingFlow.Tests.EndToEnd;
using Microsoft.AspNetCore.Http;

namespace DingFlow.Tests.Audit;

/// <summary>How a container keeps what is in it.</summary>
internal enum Immutability
{
    /// <summary>Not at all.</summary>
    None,

    /// <summary>A time-based retention policy of the container: a blob is neither replaced nor deleted.</summary>
    OfContainer,

    /// <summary>Version-level immutability: a blob may be replaced or deleted, and every version that it had stays.</summary>
    OfVersions,
}

/// <summary>
/// A container of Azure Blob Storage as far as the product uses it, with the answers of an immutability policy, which no emulator gives. Codes
/// as in "Blob service error codes" and "Configure immutability policies for blob versions" of Microsoft Learn.
/// </summary>
internal sealed class BlobStandIn : IAsyncDisposable
{
    private const string Container = "/account/evidence";

    private readonly SortedDictionary<string, Blob> _blobs = new(StringComparer.Ordinal);
    private LoopbackServer? _server;
    private int _versions;

    public Immutability Immutability { get; set; }

    /// <summary>A condition that is not met is answered 412 <c>ConditionNotMet</c> in place of 409 <c>BlobAlreadyExists</c>.</summary>
    public bool AnswersUnmet { get; set; }

    /// <summary>How often something was written.</summary>
    public int Writes { get; private set; }

    public BlobFiles Files => BlobFiles.Of(
        new AuditFileStore(
            null, new Uri(_server!.Address, Container),
            $"DefaultEndpointsProtocol=http;AccountName=account;AccountKey={Convert.ToBase64String(new byte[32])};BlobEndpoint={new Uri(_server.Address, "/account")};"),
        new Lazy<TokenCredential>(static () => throw new InvalidOperationException("No identity is needed.")));

    public static async Task<BlobStandIn> StartAsync(Immutability immutability = Immutability.None)
    {
        var standIn = new BlobStandIn { Immutability = immutability };
        standIn._server = await LoopbackServer.StartAsync(standIn.AnswerAsync);
        return standIn;
    }

    /// <summary>What somebody reads who asks for the blob as it is now.</summary>
    public string TextOf(string name) => Encoding.UTF8.GetString(_blobs[name].Current!.Content);

    public byte[] BytesOf(string name) => _blobs[name].Current!.Content;

    /// <summary>Somebody with the rights of the writer replaces a blob. Returns the code of the refusal.</summary>
    public string? Replace(string name, string content) => Put(name, Encoding.UTF8.GetBytes(content), onlyNew: false)?.Code;

    /// <summary>Somebody with the rights of the writer deletes a blob. Returns the code of the refusal.</summary>
    public string? Delete(string name)
    {
        if (Immutability == Immutability.OfContainer)
        {
            return "BlobImmutableDueToPolicy";
        }

        _blobs[name].Current = null;
        if (Immutability == Immutability.None)
        {
            _blobs.Remove(name);
        }

        return null;
    }

    public async ValueTask DisposeAsync()
    {
        if (_server is not null)
        {
            await _server.DisposeAsync();
        }
    }

    private async Task AnswerAsync(HttpContext context)
    {
        var path = context.Request.Path.Value!;
        if (path == Container && context.Request.Query["comp"] == "list")
        {
            await WriteAsync(context, 200, "application/xml", Encoding.UTF8.GetBytes(List(context.Request.Query["prefix"]!, context.Request.Query["include"].ToString().Contains("version", StringComparison.OrdinalIgnoreCase))));
            return;
        }

        var name = path[(Container.Length + 1)..];
        await (HttpMethods.IsPut(context.Request.Method) ? PutAsync(context, name) : ReadAsync(context, name));
    }

    private async Task PutAsync(HttpContext context, string name)
    {
        var content = await LoopbackServer.BodyOfAsync(context);
        if (Put(name, content, context.Request.Headers.IfNoneMatch == "*") is { } refusal)
        {
            await RefuseAsync(context, refusal.Status, refusal.Code);
            return;
        }

        Describe(context, _blobs[name].Current!);
        context.Response.StatusCode = 201;
    }

    private (int Status, string Code)? Put(string name, byte[] content, bool onlyNew)
    {
        var blob = _blobs.GetValueOrDefault(name);
        if (blob?.Current is not null && onlyNew)
        {
            return AnswersUnmet ? (412, "ConditionNotMet") : (409, "BlobAlreadyExists");
        }

        if (blob?.Current is not null && Immutability == Immutability.OfContainer)
        {
            return (409, "BlobImmutableDueToPolicy");
        }

        Writes++;
        _blobs[name] = blob = Immutability == Immutability.OfVersions && blob is not null ? blob : new();
        blob.Versions.Add(blob.Current = new(string.Create(CultureInfo.InvariantCulture, $"2026-11-25T00:00:00.{++_versions:D7}Z"), content));
        return null;
    }

    private async Task ReadAsync(HttpContext context, string name)
    {
        var version = context.Request.Query["versionid"].ToString();
        var found = _blobs.GetValueOrDefault(name) is { } blob ? version.Length == 0 ? blob.Current : blob.Versions.Find(one => one.Id == version) : null;
        if (found is null)
        {
            await RefuseAsync(context, 404, "BlobNotFound");
            return;
        }

        Describe(context, found);
        if (HttpMethods.IsHead(context.Request.Method))
        {
            context.Response.ContentLength = found.Content.Length;
            return;
        }

        var range = context.Request.Headers["x-ms-range"].ToString() is { Length: > 0 } asked ? asked : context.Request.Headers.Range.ToString();
        var from = range.Length == 0 ? 0 : int.Parse(range["bytes=".Length..].Split('-')[0], CultureInfo.InvariantCulture);
        context.Response.Headers.ContentRange = $"bytes {from}-{found.Content.Length - 1}/{found.Content.Length}";
        await WriteAsync(context, range.Length == 0 ? 200 : 206, "application/octet-stream", found.Content[from..]);
    }

    private string List(string prefix, bool versions)
    {
        var text = new StringBuilder("<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults ContainerName=\"evidence\"><Blobs>");
        foreach (var (name, blob) in _blobs.Where(one => one.Key.StartsWith(prefix, StringComparison.Ordinal)))
        {
            foreach (var version in blob.Versions.Where(one => versions || one == blob.Current))
            {
                text.Append("<Blob><Name>").Append(SecurityElement.Escape(name)).Append("</Name>");
                if (versions && Immutability == Immutability.OfVersions)
                {
                    text.Append("<VersionId>").Append(version.Id).Append("</VersionId>");
                }

                text.Append("<Properties><Last-Modified>Wed, 25 Nov 2026 00:00:00 GMT</Last-Modified><Etag>0x1</Etag><Content-Length>")
                    .Append(version.Content.Length).Append("</Content-Length><BlobType>BlockBlob</BlobType></Properties></Blob>");
            }
        }

        return text.Append("</Blobs><NextMarker/></EnumerationResults>").ToString();
    }

    private static void Describe(HttpContext context, Version version)
    {
        var headers = context.Response.Headers;
        (headers.ETag, headers.LastModified, headers["x-ms-version-id"], headers["x-ms-blob-type"]) =
            ($"\"{version.Id}\"", "Wed, 25 Nov 2026 00:00:00 GMT", version.Id, "BlockBlob");
        headers["x-ms-creation-time"] = "Wed, 25 Nov 2026 00:00:00 GMT";
    }

    private static Task RefuseAsync(HttpContext context, int status, string code)
    {
        context.Response.Headers["x-ms-error-code"] = code;
        return HttpMethods.IsHead(context.Request.Method)
            ? Task.FromResult(context.Response.StatusCode = status)
            : WriteAsync(context, status, "application/xml", Encoding.UTF8.GetBytes($"<?xml version=\"1.0\" encoding=\"utf-8\"?><Error><Code>{code}</Code><Message>{code}</Message></Error>"));
    }

    private static async Task WriteAsync(HttpContext context, int status, string contentType, byte[] body)
    {
        (context.Response.StatusCode, context.Response.ContentType, context.Response.ContentLength) = (status, contentType, body.Length);
        await context.Response.Body.WriteAsync(body, context.RequestAborted);
    }

    private sealed record Version(string Id, byte[] Content);

    private sealed class Blob
    {
        public List<Version> Versions { get; } = [];

        public Version? Current { get; set; }
    }
}
