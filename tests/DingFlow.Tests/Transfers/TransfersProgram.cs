using System.Globalization;
using System.IO.Compression;
using System.Net.Http.Headers;
using System.Text;
using DingFlow.Tests.EndToEnd;
using DingFlow.Tests.Infrastructure;
using Newtonsoft.Json.Linq;

namespace DingFlow.Tests.Transfers;

/// <summary>One standalone program for tests of the transfers' routes; each test takes an exporter of its own.</summary>
public sealed class TransfersProgram : IAsyncLifetime
{
    internal const string SenderKey = "sender-key-of-the-transfer-tests-0123456789";
    internal const string ConfinedKey = "confined-key-of-the-transfer-tests-0123456789";
    internal const string ComplianceKey = "compliance-key-of-the-transfer-tests-0123456789";
    internal const string OperationsKey = "operations-key-of-the-transfer-tests-0123456789";
    internal const string AuditorKey = "auditor-key-of-the-transfer-tests-0123456789";
    private const int Exporters = 60;

    private DingFlowProcess? _program;
    private int _next;

    internal DingFlowProcess Program => _program ?? throw new InvalidOperationException("Not started.");

    /// <summary>Reports transfers.</summary>
    internal TransferSender Sender { get; private set; } = null!;

    /// <summary>Looks at counters and corrects them.</summary>
    internal TransferSender Compliance { get; private set; } = null!;

    /// <summary>The audit trail's entries of a kind, as an auditor reads them; those about one thing where it is named.</summary>
    internal async Task<List<JToken>> AuditAsync(string kind, string? on = null)
    {
        using var auditor = Program.CreateOperator(AuditorKey);
        var answer = await auditor.AskAsync(HttpMethod.Get, $"/api/audit?kind={kind}&limit=1000");
        Assert.True(answer.Status == 200, answer.Text);
        return [.. answer.Json["items"]!.Where(entry => on is null || (string?)entry["on"]!["id"] == on)];
    }

    /// <summary>A registered exporter that no other test uses.</summary>
    internal string NewExporter() => string.Create(CultureInfo.InvariantCulture, $"exporter-{Interlocked.Increment(ref _next) + 9}");

    internal static Dictionary<string, string> Settings()
    {
        var settings = new Dictionary<string, string>
        {
            ["Auth:ApiKeys:sender:Hash"] = ConfiguredProgram.HashOf(SenderKey),
            ["Auth:ApiKeys:sender:Roles"] = "transfers.write",
            ["Auth:ApiKeys:confined:Hash"] = ConfiguredProgram.HashOf(ConfinedKey),
            ["Auth:ApiKeys:confined:Roles"] = "transfers.write,compliance.read,compliance.write",
            ["Auth:ApiKeys:confined:Exporters"] = "Exporter-1",
            ["Auth:ApiKeys:compliance:Hash"] = ConfiguredProgram.HashOf(ComplianceKey),
            ["Auth:ApiKeys:compliance:Roles"] = "compliance.read,compliance.write,subjects.read",
            ["Auth:ApiKeys:operations:Hash"] = ConfiguredProgram.HashOf(OperationsKey),
            ["Auth:ApiKeys:operations:Roles"] = "operations.read",
            ["Auth:ApiKeys:auditor:Hash"] = ConfiguredProgram.HashOf(AuditorKey),
            ["Auth:ApiKeys:auditor:Roles"] = "audit.read",
            ["Recipients:acme-hk:Country"] = "HK",
        };
        for (var i = 1; i <= Exporters; i++)
        {
            settings[string.Create(CultureInfo.InvariantCulture, $"Exporters:exporter-{i}:Name")] = string.Create(CultureInfo.InvariantCulture, $"Exporter {i}");
        }

        return settings;
    }

    public async ValueTask InitializeAsync()
    {
        _program = await DingFlowProcess.StartStandaloneAsync(Settings());
        Sender = new(_program.CreateOperator(SenderKey));
        Compliance = new(_program.CreateOperator(ComplianceKey));
    }

    public async ValueTask DisposeAsync()
    {
        Sender?.Dispose();
        Compliance?.Dispose();
        if (_program is not null)
        {
            await _program.DisposeAsync();
        }
    }
}

/// <summary>Speaks to the transfers' routes as a system does that exports data.</summary>
internal sealed class TransferSender(HttpClient client) : IDisposable
{
    public const string NdJson = "application/x-ndjson";
    public const string CloudEvents = "application/cloudevents-batch+json";

    public HttpClient Client => client;

    /// <summary>A record as DESIGN shows it.</summary>
    public static JObject Record(string id, string subject, string exporter = "acme-zhuhai", Action<JObject>? change = null)
    {
        var record = new JObject
        {
            ["id"] = id,
            ["occurredAt"] = "2026-11-22T09:00:00+08:00",
            ["exporter"] = exporter,
            ["subject"] = new JObject { ["type"] = "employeeId", ["id"] = subject },
            ["fields"] = new JArray("name", "mobile", "bankCardNumber"),
            ["origin"] = "CN",
            ["destination"] = "SG",
            ["recipient"] = "acme-sg",
            ["purpose"] = "payroll",
            ["legalBasis"] = "contract",
            ["exemption"] = null,
            ["mechanism"] = null,
            ["method"] = "api",
            ["system"] = "dingtalk",
        };
        change?.Invoke(record);
        return record;
    }

    /// <summary>A line of NDJSON for each subject.</summary>
    public static string Lines(IEnumerable<int> subjects, string exporter, Action<JObject, int>? change = null) =>
        string.Concat(subjects.Select(subject => Record(
            string.Create(CultureInfo.InvariantCulture, $"t-{subject}"), string.Create(CultureInfo.InvariantCulture, $"E{subject}"), exporter,
            record => change?.Invoke(record, subject)).ToString(Newtonsoft.Json.Formatting.None) + "\n"));

    public Task<Answer> PostAsync(params IEnumerable<JObject> records) => PostAsync(new JArray(records).ToString());

    public Task<Answer> PostAsync(string body, string contentType = "application/json", string? key = null, bool gzip = false, string path = "/api/transfers") =>
        PostAsync(Encoding.UTF8.GetBytes(body), contentType, key, gzip, path);

    public async Task<Answer> PostAsync(byte[] body, string contentType, string? key = null, bool gzip = false, string path = "/api/transfers")
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, path) { Content = new ByteArrayContent(gzip ? Compress(body) : body) };
        request.Content.Headers.ContentType = MediaTypeHeaderValue.Parse(contentType);
        if (gzip)
        {
            request.Content.Headers.ContentEncoding.Add("gzip");
        }

        if (key is not null)
        {
            request.Headers.Add("Idempotency-Key", key);
        }

        return await client.AskAsync(request);
    }

    public async Task<JObject> CountersAsync(string exporter, int? year = 2026)
    {
        var answer = await client.AskAsync(HttpMethod.Get, $"/api/transfers/counters?exporter={exporter}{(year is null ? "" : $"&year={year}")}");
        Assert.True(answer.Status == 200, answer.Text);
        return (JObject)answer.Json;
    }

    public static byte[] Compress(byte[] body)
    {
        using var compressed = new MemoryStream();
        using (var gzip = new GZipStream(compressed, CompressionLevel.Fastest, leaveOpen: true))
        {
            gzip.Write(body);
        }

        return compressed.ToArray();
    }

    public void Dispose() => client.Dispose();
}
