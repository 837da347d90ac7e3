using System.IO.Compression;
using System.Security.Cryptography;
using System.Text;
using Azure.Core;
using DingFlow.Alerts;
using DingFlow.Entra;
using DingFlow.Intake;
using DingFlow.Messaging;
using DingFlow.Sandbox;
using DingFlow.Storage;
using DingFlow.Tests.Audit;
using DingFlow.Tests.Intake;
using DingFlow.Tests.Transfers;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;
using Newtonsoft.Json.Linq;

namespace DingFlow.Tests.Alerts;

/// <summary>Documents that go with alerts: by mail through the simulated Graph and by webhook, whole, once, and honest about what is left out.</summary>
public sealed class AlertDocumentTests : IAsyncLifetime
{
    private const string Id = "audit.permissions_report:2026-11";

    private readonly FakeTimeProvider _time = new(new DateTimeOffset(2026, 12, 1, 1, 7, 0, TimeSpan.Zero));
    private readonly LedgerMemoryStore _store = new();
    private readonly TestQueue _queue = new();
    private readonly HashSet<string> _handled = [];
    private SandboxServer _sandbox = null!;
    private AlertReceiver _receiver = null!;
    private EntraDirectory _entra = null!;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _sandbox = await SandboxServer.StartNewAsync(timeProvider: _time, cancellationToken: Token);
        _receiver = await AlertReceiver.StartAsync(_time.GetUtcNow, Token);
        _entra = new EntraDirectory(
            new EntraOptions { TenantId = "sandbox", BaseUrl = _sandbox.Graph, Credential = EntraCredential.None },
            new Lazy<TokenCredential>(static () => throw new InvalidOperationException()), TimeProvider.System, NullLogger<EntraDirectory>.Instance);
    }

    public async ValueTask DisposeAsync()
    {
        _entra.Dispose();
        await _receiver.DisposeAsync();
        await _sandbox.DisposeAsync();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_mail_has_the_documents_as_files_and_a_webhook_has_them_signed(bool sendOnly)
    {
        var contents = new Dictionary<string, byte[]> { ["r.html"] = Bytes("<p>é 權</p>", 1), ["r.csv"] = Random(700_000), ["r.json"] = [] };
        await SendAsync([Mail() with { SendOnly = sendOnly }, Webhook() with { DocumentBytes = 1_000_000 }], contents);

        var mail = Assert.Single(_sandbox.Outbox.Messages);
        Assert.Equal(["r.html", "r.csv", "r.json"], mail.Attachments.Select(static file => file.Name));
        Assert.Equal(["text/html", "text/csv", "application/json"], mail.Attachments.Select(static file => file.ContentType));
        Assert.All(mail.Attachments, file => Assert.Equal(contents[file.Name], file.Content));
        Assert.All(contents, one => Assert.Contains($"Attached: {one.Key} ({one.Value.Length} bytes, SHA-256 {Hash(one.Value)})", mail.Text, StringComparison.Ordinal));

        var (_, id, verdict, body) = Assert.Single(_receiver.Received);
        Assert.Equal((Id, SignatureVerdict.Valid), (id, verdict));
        var documents = DocumentsOf(JObject.Parse(Encoding.UTF8.GetString(body))["data"]!);
        Assert.Equal(contents.Keys, documents.Select(static one => (string?)one["name"]));
        Assert.All(documents, one =>
        {
            var content = Convert.FromBase64String((string)one["content"]!);
            Assert.Equal(contents[(string)one["name"]!], content);
            Assert.Equal((Hash(content), content.Length, $"/api/{one["name"]}"), ((string?)one["sha256"], (int)one["bytes"]!, (string?)one["source"]));
            Assert.Null(one["contentEncoding"]);
        });

        // The queue holds names only, far from the 256 KB of Service Bus.
        Assert.All(_queue.Alerts, static message => Assert.InRange(message.Body.Length, 1, 8 * 1024));
    }

    [Theory]
    [InlineData(SandboxFaultKind.LostAfter, SandboxOperations.GraphCreateMessage)]
    [InlineData(SandboxFaultKind.LostAfter, SandboxOperations.GraphSendMessage)]
    [InlineData(SandboxFaultKind.Unavailable, SandboxOperations.GraphCreateMessage)]
    [InlineData(SandboxFaultKind.Throttled, SandboxOperations.GraphSendMessage)]
    public async Task A_mail_with_documents_comes_once_and_whole_whatever_answer_is_lost(SandboxFaultKind kind, string operation)
    {
        _sandbox.Faults.Set([new SandboxFault { Kind = kind, Operation = operation, Count = 1 }]);
        var content = Random(500_000);
        await SendAsync([Mail()], new Dictionary<string, byte[]> { ["r.csv"] = content });
        foreach (var minutes in (int[])[2, 5, 30])
        {
            _time.Advance(TimeSpan.FromMinutes(minutes));
            await PumpAsync([Mail()]);
        }

        Assert.Equal(content, Assert.Single(Assert.Single(_sandbox.Outbox.Messages).Attachments).Content);
    }

    [Fact]
    public async Task What_is_large_goes_compressed_and_what_stays_too_large_is_left_out_and_says_where_it_lies()
    {
        var contents = new Dictionary<string, byte[]>
        {
            ["r.html"] = Bytes("the same line again and again\n", 150_000), ["r.csv"] = Random(3_000_000), ["r.json"] = Bytes("{\"a\":1}\n", 100_000),
        };
        await SendAsync([Mail() with { Language = AlertLanguage.TraditionalChinese }, Webhook()], contents);

        var mail = Assert.Single(_sandbox.Outbox.Messages);
        Assert.Equal(["r.html.gz", "r.json.gz"], mail.Attachments.Select(static file => file.Name));
        Assert.All(mail.Attachments, file => Assert.Equal(contents[file.Name[..^3]], Unzip(file.Content)));
        Assert.Contains($"附件，因檔案較大而壓縮：r.html（解壓後 4500000 位元組，SHA-256 {Hash(contents["r.html"])}）", mail.Text, StringComparison.Ordinal);
        Assert.Contains($"因檔案過大而未附上：r.csv（3000000 位元組，SHA-256 {Hash(contents["r.csv"])}），請於 /api/r.csv 取得", mail.Text, StringComparison.Ordinal);

        var documents = DocumentsOf(JObject.Parse(Encoding.UTF8.GetString(Assert.Single(_receiver.Received).Body))["data"]!);
        Assert.Equal(["gzip", null, "gzip"], documents.Select(static one => (string?)one["contentEncoding"]));
        Assert.Equal([null, "tooLarge", null], documents.Select(static one => (string?)one["omitted"]));
        Assert.Equal(contents["r.json"], Unzip(Convert.FromBase64String((string)documents[2]["content"]!)));
    }

    [Fact]
    public async Task A_channel_that_wants_no_documents_gets_their_names_and_hashes()
    {
        await SendAsync([Mail() with { DocumentBytes = 0 }, Webhook() with { DocumentBytes = 0 }], new Dictionary<string, byte[]> { ["r.csv"] = Bytes("a", 10) });

        Assert.Empty(Assert.Single(_sandbox.Outbox.Messages).Attachments);
        Assert.Contains("Not attached, because it is too large: r.csv", _sandbox.Outbox.Messages[0].Text, StringComparison.Ordinal);
        var document = Assert.Single(DocumentsOf(JObject.Parse(Encoding.UTF8.GetString(Assert.Single(_receiver.Received).Body))["data"]!));
        Assert.Equal(("tooLarge", null), ((string?)document["omitted"], document["content"]));
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_document_that_is_gone_or_damaged_is_said_to_be_and_the_alert_goes_all_the_same(bool gone)
    {
        var alert = await AlertAsync(Id, new Dictionary<string, byte[]> { ["r.csv"] = Random(600_000), ["r.json"] = Bytes("{}", 1) });
        var rows = await _store.QueryAsync(AlertStore.Table, $"d|{AlertWork.KeyOf(Id)}", RowKeyRange.StartingWith(alert.Documents[0].Sha256), 10, null, Token);
        Assert.Equal(2, rows.Entities.Count);
        var last = rows.Entities[^1];
        last.Properties["C0"] = new byte[] { 1, 2, 3 };
        await _store.SubmitAsync(
            EntityTransaction.Of(AlertStore.Table, gone ? EntityOperation.Delete(last.PartitionKey, last.RowKey) : EntityOperation.Replace(last)), Token);
        await SendAsync([Mail(), Webhook()], alert);

        var mail = Assert.Single(_sandbox.Outbox.Messages);
        Assert.Equal("r.json", Assert.Single(mail.Attachments).Name);
        Assert.Contains("Not attached, because it is no longer kept with the alert: r.csv", mail.Text, StringComparison.Ordinal);
        Assert.EndsWith("get it at /api/r.csv", mail.Text.Split("\r\n\r\n").Single(static line => line.Contains("r.csv", StringComparison.Ordinal)), StringComparison.Ordinal);
        var documents = DocumentsOf(JObject.Parse(Encoding.UTF8.GetString(Assert.Single(_receiver.Received).Body))["data"]!);
        Assert.Equal(["gone", null], documents.Select(static one => (string?)one["omitted"]));
    }

    [Fact]
    public async Task In_a_burst_each_document_stands_with_its_alert()
    {
        var webhook = Webhook() with { GroupWait = TimeSpan.FromSeconds(10) };
        var mail = Mail() with { GroupWait = TimeSpan.FromSeconds(10) };
        await SendAsync([webhook, mail], await AlertAsync("a-1", new Dictionary<string, byte[]> { ["1.csv"] = Bytes("1", 1) }), await AlertAsync("a-2", new Dictionary<string, byte[]> { ["2.csv"] = Bytes("2", 1) }));
        _time.Advance(TimeSpan.FromSeconds(10));
        await PumpAsync([webhook, mail]);

        Assert.Equal(["1.csv", "2.csv"], Assert.Single(_sandbox.Outbox.Messages).Attachments.Select(static file => file.Name));
        var burst = JObject.Parse(Encoding.UTF8.GetString(Assert.Single(_receiver.Received).Body))["data"]!["alerts"]!;
        Assert.Equal(["1.csv", "2.csv"], burst.Select(static one => (string?)Assert.Single(DocumentsOf(one["data"]!))["name"]));
    }

    [Theory]
    [InlineData(nameof(StoreFault.DieBefore))]
    [InlineData(nameof(StoreFault.DieAfter))]
    [InlineData(nameof(StoreFault.LoseAnswer))]
    public async Task A_kill_between_any_two_operations_and_a_second_delivery_of_each_message_send_one_mail_with_its_document(string kind)
    {
        var fault = Enum.Parse<StoreFault>(kind);
        var longest = 0;
        for (var at = 1; at <= longest + 1; at++)
        {
            _sandbox.Outbox.Clear();
            var content = Random(100_000 + at);
            await new AlertSender(_queue).SendAsync(await AlertAsync($"{kind}-{at}", new Dictionary<string, byte[]> { ["r.csv"] = content }), Token);
            for (var steps = 0; _queue.Alerts.FirstOrDefault(message => !_handled.Contains(message.MessageId)) is { } next; steps++)
            {
                Assert.True(steps < 40, "It does not come to an end.");
                if (next.EnqueueAt > _time.GetUtcNow())
                {
                    _time.SetUtcNow(next.EnqueueAt.Value);
                }

                var store = new LedgerFaultyStore(_store, call => call == at && !next.MessageId.Contains("-later-", StringComparison.Ordinal) ? fault : StoreFault.None);
                try
                {
                    await HandleAsync(next, [Mail()], store);
                }
                catch (Exception exception) when (exception is ProcessDiedException or EntityStoreException)
                {
                    // The queue delivers it again.
                }

                await HandleAsync(next, [Mail()], _store);
                _handled.Add(next.MessageId);
                longest = Math.Max(longest, store.Calls);
            }

            Assert.Equal(content, Assert.Single(Assert.Single(_sandbox.Outbox.Messages).Attachments).Content);
        }

        Assert.True(longest > 5);
    }

    [Fact]
    public async Task A_document_goes_with_its_alert_when_the_retention_is_over()
    {
        var alert = await AlertAsync(Id, new Dictionary<string, byte[]> { ["r.csv"] = Random(2_000_000) });
        await SendAsync([Webhook()], alert);
        Assert.NotNull(await Documents(_store).FindAsync(Id, alert.Documents[0], Token));
        var alerts = new AlertStore(_store, new TestTrail(_store));
        _time.Advance(TimeSpan.FromDays(1));
        await alerts.UpdateAsync(AlertWork.KeyOf(Id), static stored => stored with { State = AlertState.Acknowledged }, Token);
        await alerts.PruneAsync(_time.GetUtcNow(), Token);

        Assert.Null(await alerts.FindAsync(AlertWork.KeyOf(Id), Token));
        Assert.Empty((await _store.QueryAsync(AlertStore.Table, $"d|{AlertWork.KeyOf(Id)}", RowKeyRange.All, 10, null, Token)).Entities);
    }

    [Fact]
    public async Task A_document_beyond_all_bounds_is_named_and_not_kept()
    {
        var alert = await AlertAsync(Id, new Dictionary<string, byte[]> { ["r.csv"] = new byte[IAlertDocuments.MaximumBytes + 1] });

        Assert.Null(await Documents(_store).FindAsync(Id, alert.Documents[0], Token));
        await SendAsync([Webhook()], alert);
        Assert.Equal("tooLarge", (string?)DocumentsOf(JObject.Parse(Encoding.UTF8.GetString(Assert.Single(_receiver.Received).Body))["data"]!)[0]["omitted"]);
    }

    private static MailChannel Mail() => new() { Name = "legal", From = "e1001@sandbox.example", To = ["legal@acme.example"] };

    private WebhookChannel Webhook() => new() { Name = "siem", Url = _receiver.Url, Secret = StandardWebhooks.DecodeSecret(_receiver.Secret)! };

    private static AlertDocuments Documents(IEntityStore store) => new(store, NullLogger<AlertDocuments>.Instance);

    private static byte[] Bytes(string text, int times) => Encoding.UTF8.GetBytes(string.Concat(Enumerable.Repeat(text, times)));

    private static byte[] Random(int length)
    {
        var bytes = new byte[length];
        new Random(length).NextBytes(bytes);
        return bytes;
    }

    private static string Hash(byte[] bytes) => Convert.ToHexStringLower(SHA256.HashData(bytes));

    private static byte[] Unzip(byte[] packed)
    {
        using var output = new MemoryStream();
        using var gzip = new GZipStream(new MemoryStream(packed), CompressionMode.Decompress);
        gzip.CopyTo(output);
        return output.ToArray();
    }

    private static List<JToken> DocumentsOf(JToken data) => [.. data["documents"]!];

    private async Task<AlertMessage> AlertAsync(string id, Dictionary<string, byte[]> contents)
    {
        List<AlertDocument> kept = [];
        foreach (var (name, content) in contents)
        {
            var mediaType = Path.GetExtension(name) switch { ".html" => "text/html", ".csv" => "text/csv", _ => "application/json" };
            kept.Add(await Documents(_store).KeepAsync(id, name, mediaType, content, $"/api/{name}", Token));
        }

        return new()
        {
            AlertId = id, Type = "audit.permissions_report", Severity = AlertSeverity.Warning, OccurredAt = _time.GetUtcNow(), Summary = "Changes.", About = "2026-11",
            Documents = kept,
        };
    }

    private async Task SendAsync(AlertChannel[] channels, Dictionary<string, byte[]> contents) => await SendAsync(channels, await AlertAsync(Id, contents));

    private async Task SendAsync(AlertChannel[] channels, params AlertMessage[] alerts)
    {
        foreach (var alert in alerts)
        {
            await new AlertSender(_queue).SendAsync(alert, Token);
        }

        await PumpAsync(channels);
    }

    private async Task PumpAsync(AlertChannel[] channels)
    {
        while (_queue.Alerts.FirstOrDefault(message => !_handled.Contains(message.MessageId) && (message.EnqueueAt ?? default) <= _time.GetUtcNow()) is { } next)
        {
            _handled.Add(next.MessageId);
            await HandleAsync(next, channels, _store);
        }
    }

    private async Task HandleAsync(OutgoingMessage message, AlertChannel[] channels, IEntityStore store)
    {
        var documents = Documents(store);
        using var webhook = new AlertWebhook(documents, _time);
        await new DeliverAlert(
            new AlertOptions { Channels = channels }, [webhook, new AlertMail(_entra, documents)], new AlertStore(store, new TestTrail(store)), store, _queue, _time,
            NullLogger<DeliverAlert>.Instance).InvokeAsync(
            new ReceivedMessage { Queue = "alerts", MessageId = message.MessageId, DeliveryCount = 1, Body = message.Body }, Token);
    }
}
