using System.Text;
using DingFlow.Intake;
using DingFlow.Sandbox;
using DingFlow.Tests.Alerts;
using DingFlow.Tests.EndToEnd;
using DingFlow.Tests.Infrastructure;
using DingFlow.Tests.Storage;
using Newtonsoft.Json.Linq;

namespace DingFlow.Tests.Audit;

/// <summary>The monthly report on permissions through the whole product, on a clock that the test sets: by mail and by webhook, once, with its files.</summary>
public sealed class PermissionReportWalkTests
{
    private const string FirstOfMonth = "2026-12-01T09:10:00+08:00";

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task On_the_first_of_the_month_people_get_the_files_that_the_route_gives_once_also_across_a_stop()
    {
        using var data = new DataDirectory();
        await using var sandbox = await SandboxServer.StartNewAsync(cancellationToken: Cancellation);
        var shift = DateTimeOffset.Parse(FirstOfMonth, System.Globalization.CultureInfo.InvariantCulture) - TimeProvider.System.GetUtcNow();
        await using var receiver = await AlertReceiver.StartAsync(() => TimeProvider.System.GetUtcNow() + shift, Cancellation);
        var settings = OutsideSandbox.Settings(
            sandbox,
            ("Alerts:Channels:siem:Type", "webhook"), ("Alerts:Channels:siem:Url", receiver.Url.ToString()), ("Alerts:Channels:siem:Secret", receiver.Secret),
            ("Alerts:Channels:siem:Areas", "audit"), ("Alerts:Channels:siem:DocumentBytes", "1000000"),
            ("Alerts:Channels:legal:Type", "mail"), ("Alerts:Channels:legal:From", "e1001@sandbox.example"), ("Alerts:Channels:legal:To", "legal@acme.example"),
            ("Alerts:Channels:legal:Areas", "audit"), ("Alerts:Channels:legal:GroupWait", "00:00:00"));

        // In November somebody reads who may do what, then gets an administrator and a key of more rights.
        await using (var before = await ClockedProgram.StartAsync(data.Path, "2026-11-20T08:00:00Z", settings))
        {
            await before.TickAsync("ReportPermissions");
            await before.TickAsync("SnapshotPermissions");
        }

        sandbox.Directory.Change("E1005", static person => person with { DingTalk = person.DingTalk! with { Administrator = SandboxAdministrator.Sub } });
        settings["Auth:ApiKeys:extra:Hash"] = ConfiguredProgram.HashOf("another-key-of-the-tests-0123456789");
        settings["Auth:ApiKeys:extra:Roles"] = "audit.read";
        await using (var changed = await ClockedProgram.StartAsync(data.Path, "2026-11-25T08:00:00Z", settings))
        {
            await changed.TickAsync("SnapshotPermissions");
            await changed.TickAsync("ReportPermissions");
        }

        Assert.DoesNotContain(receiver.Received, static one => Encoding.UTF8.GetString(one.Body).Contains("permissions_report", StringComparison.Ordinal));

        // The receiver does not answer when the month is told, and the program is stopped.
        var gate = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        receiver.Answer = async context =>
        {
            await gate.Task.WaitAsync(context.RequestAborted);
            context.Response.StatusCode = 204;
        };
        await using (var stopped = await ClockedProgram.StartAsync(data.Path, FirstOfMonth, settings))
        {
            await stopped.TickAsync("ReportPermissions");
            await ReportsAsync(receiver, 1);
        }

        gate.SetResult();
        await using var program = await ClockedProgram.StartAsync(data.Path, FirstOfMonth, settings);
        await program.TickAsync("ReportPermissions");
        var told = await ReportsAsync(receiver, 2);
        Assert.Equal(told[0].Id, told[1].Id);
        Assert.Equal(told[0].Body, told[1].Body);
        Assert.All(told, static one => Assert.Equal(SignatureVerdict.Valid, one.Verdict));
        var mail = await Eventually.GetAsync(
            () => Task.FromResult(sandbox.Outbox.Messages.FirstOrDefault(static one => one.Title.Contains("permissions", StringComparison.Ordinal))), () => "the mail", Cancellation);

        var data1 = JObject.Parse(Encoding.UTF8.GetString(told[1].Body))["data"]!;
        Assert.Equal(("2026-11", "2"), ((string?)data1["about"], (string?)data1["details"]!["unexplained"]));
        foreach (var form in (string[])["html", "csv", "json"])
        {
            using var response = await program.Operator.GetAsync($"/api/permissions/report?from=2026-11-01&to=2026-11-30&format={form}", Cancellation);
            var given = await response.Content.ReadAsByteArrayAsync(Cancellation);
            Assert.Equal(given, mail.Attachments.Single(file => file.Name == $"permissions-2026-11.{form}").Content);
            var document = data1["documents"]!.Single(one => (string?)one["name"] == $"permissions-2026-11.{form}");
            Assert.Equal(given, Convert.FromBase64String((string)document["content"]!));
            Assert.Equal(DingFlow.Messaging.PayloadHash.Of(given).Hex, (string?)document["sha256"]);
            Assert.Equal(given, await File.ReadAllBytesAsync(Path.Combine(data.Path, "audit", "permissions", $"2026-11.{form}"), Cancellation));
        }

        Assert.Contains("key:extra gained audit.read", mail.Text, StringComparison.Ordinal);
        Assert.All((string[])["sb-1005", sandbox.Directory["E1005"].Name], personal => Assert.DoesNotContain(personal, mail.Text, StringComparison.OrdinalIgnoreCase));

        // The next hour, and what a queue delivers twice, tell nothing anew; the alert names its documents.
        await program.TickAsync("ReportPermissions");
        var alert = (await program.Operator.AskAsync(HttpMethod.Get, "/api/alerts?type=audit.permissions_report")).Json["items"]!.Single();
        Assert.Equal(3, alert["documents"]!.Count());
        await Eventually.IsTrueAsync(
            async () => (await program.Operator.AskAsync(HttpMethod.Get, $"/api/alerts/{alert["id"]}")).Json["deliveries"]!.All(static one => (string?)one["state"] == "delivered"),
            () => "both deliveries", Cancellation);
        Assert.Equal(2, (await ReportsAsync(receiver, 2)).Count);
        Assert.Single(sandbox.Outbox.Messages, static one => one.Title.Contains("permissions", StringComparison.Ordinal));
        var made = (await program.Operator.AskAsync(HttpMethod.Get, "/api/audit?kind=permissions.report_made&from=2026-11-01")).Json["items"]!;
        Assert.Single(made, static entry => (string?)entry["actor"]!["id"] == "ReportPermissions");
    }

    private static Task<List<(string Path, string Id, SignatureVerdict Verdict, byte[] Body)>> ReportsAsync(AlertReceiver receiver, int count)
    {
        List<(string Path, string Id, SignatureVerdict Verdict, byte[] Body)> seen = [];
        return Eventually.GetAsync(
            () => Task.FromResult(
                (seen = [.. receiver.Received.Where(static one => Encoding.UTF8.GetString(one.Body).Contains("audit.permissions_report", StringComparison.Ordinal))]).Count >= count ? seen : null),
            () => $"{count} reports; there are {seen.Count}", Cancellation);
    }
}
