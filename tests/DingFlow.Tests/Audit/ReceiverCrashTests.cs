using System.IO.Compression;
using System.Text;
using DingFlow.Audit;
using DingFlow.DingTalk;
using DingFlow.Intake;
using DingFlow.Intake.Dialects;
using DingFlow.Messaging;
using DingFlow.Sandbox;
using DingFlow.Signals;
using DingFlow.Tests.Infrastructure;
using DingFlow.Tests.Intake;
using DingFlow.Tests.Signals;

namespace DingFlow.Tests.Audit;

/// <summary>Wherever the process dies: what DingTalk and transmitters of signals sent, and what changed between two readings of permissions.</summary>
public sealed class ReceiverCrashTests
{
    private const string Left = """{"eventId":"00000000000000000000000000000001","EventType":"user_leave_org","UserId":["sb-1001"],"TimeStamp":"1767225600000"}""";
    private const string Promoted = """{"eventId":"00000000000000000000000000000002","EventType":"org_admin_add","UserId":["sb-1002"],"TimeStamp":"1767225600000"}""";

    private static readonly DingTalkCallbackCrypto s_crypto = new(IntakeScenario.CallbackToken, IntakeScenario.CallbackAesKey, SandboxOptions.AppKey);

    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    private static Dictionary<string, string?> CallbackSettings { get; } = new()
    {
        ["DingTalk:Tenants:sandbox:Token"] = IntakeScenario.CallbackToken, ["DingTalk:Tenants:sandbox:AesKey"] = IntakeScenario.CallbackAesKey,
    };

    [Theory]
    [InlineData(Left)]
    [InlineData(Promoted, "permissions.reported")]
    public Task An_event_of_DingTalk_is_told_with_what_it_reports_exactly_when_it_is_stored(string message, params string[] reported) => CrashPoints.EveryAsync(new()
    {
        Act = world => PushAsync(world, message),
        State = async world => (await IntakeCrashTests.DeliveriesAsync(world)).SelectMany(row => (string[])[row.RowKey[2..], .. reported.Select(kind => $"{kind} by {row.RowKey[2..]}")]),
        Told = static entries => entries.Where(static entry => entry.Kind == InboxAudit.DeliveryAccepted.Name).Select(static entry => entry.Said.On!.Id)
            .Concat(entries.Where(static entry => entry.Kind == "permissions.reported").Select(static entry => $"{entry.Kind} by {entry.Detail("reportId")}")),
        Final = static async world => Assert.Single(await IntakeCrashTests.DeliveriesAsync(world)),
        Settings = CallbackSettings,
    });

    /// <summary>It changes nothing, so its entry stands for the answer: whoever was answered has one, and none has two.</summary>
    [Fact]
    public async Task A_check_of_the_address_that_was_answered_is_told()
    {
        var answered = new Dictionary<CrashWorld, int>();
        await CrashPoints.EveryAsync(new()
        {
            Act = async world => answered[world] = answered.GetValueOrDefault(world) + (await PushAsync(world, """{"EventType":"check_url"}""") == 200 ? 1 : 0),
            State = static async world => (await IntakeCrashTests.DeliveriesAsync(world)).Select(static row => row.RowKey),
            Told = static _ => [],
            Final = async world =>
            {
                var told = (await world.EntriesAsync()).Where(static entry => entry.Kind == HandshakeAudit.Answered.Name).Select(static entry => entry.Read()!).ToList();
                Assert.InRange(told.Count, answered[world], 2);
                Assert.All(told, static entry => Assert.Equal(
                    (AuditActorType.Source, "dingtalk/sandbox", AuditOutcome.Succeeded), (entry.Actor.Type, entry.Actor.Id, entry.Outcome)));
            },
            Settings = CallbackSettings,
        });
    }

    [Fact]
    public async Task A_received_signal_is_told_exactly_when_it_is_stored()
    {
        await using var transmitter = await TransmitterStandIn.StartAsync();
        var token = transmitter.Token(transmitter.Claims(CrashWorld.Start, Secevents.Disabled, Secevents.Person));
        await CrashPoints.EveryAsync(new()
        {
            Act = world => world.CallAsync<ReceiveSignal>(
                token, new Dictionary<string, string> { ["source"] = SignalScenario.Source }, prepare: static request => request.ContentType = SsfDialect.MediaType),
            State = static async world => (await IntakeCrashTests.DeliveriesAsync(world)).Select(static row => row.RowKey[2..]),
            Told = static entries => entries.Where(static entry => entry.Kind == InboxAudit.DeliveryAccepted.Name && entry.Said.Actor.Id == $"hr/{SignalScenario.Source}")
                .Select(static entry => entry.Said.On!.Id),
            Final = static async world => Assert.Single(await IntakeCrashTests.DeliveriesAsync(world)),
            Settings = transmitter.Source(SignalScenario.Source).ToDictionary(static setting => setting.Item1, static setting => setting.Item2),
        });
    }

    [Fact]
    public async Task What_was_given_and_taken_between_two_nights_is_told_exactly_when_the_later_reading_stands()
    {
        var before = new Dictionary<CrashWorld, HashSet<string>>();
        await CrashPoints.EveryAsync(new()
        {
            Arrange = async world =>
            {
                var people = world.Sandbox!.Directory;
                people.Change("E1003", static person => person with { Entra = person.Entra! with { DirectoryRoles = ["User Administrator"] } });
                await world.TickAsync<SnapshotPermissions>();
                before[world] = await HoldingsAsync(world);
                people.Change("E1003", static person => person with { Entra = person.Entra! with { DirectoryRoles = [] } });
                people.Change("E1002", static person => person with { Entra = person.Entra! with { DirectoryRoles = ["Global Reader"] } });
                people.Change("E1005", static person => person with { DingTalk = person.DingTalk! with { Administrator = SandboxAdministrator.Sub } });
                people.Note(new("report-1", CrashWorld.Start, people["E1002"].Entra!.ObjectId, "Global Reader", Added: true, "0000-app"));
            },
            Act = static world => world.TickAsync<SnapshotPermissions>(),
            State = async world =>
            {
                var now = await HoldingsAsync(world);
                return now.Except(before[world]).Select(static one => $"gained {one}").Concat(before[world].Except(now).Select(static one => $"lost {one}"))
                    .Concat((await LinesAsync(world, "reports|")).Select(static line => $"reported {line.Split('\t')[0]}"));
            },
            Told = static entries => entries.Where(static entry => entry.Kind is "permissions.gained" or "permissions.lost")
                .Select(static entry => $"{entry.Kind["permissions.".Length..]} {entry.Detail("who")}\t{entry.Detail("permission")}")
                .Concat(entries.Where(static entry => entry.Kind == "permissions.reported").Select(static entry => $"reported {entry.Detail("reportId")}")),
            Final = async world =>
            {
                var now = await HoldingsAsync(world);
                Assert.Equal((2, 1), (now.Except(before[world]).Count(), before[world].Except(now).Count()));
                Assert.Single(await LinesAsync(world, "reports|"));
            },
            WithRemotes = true,
        });
    }

    /// <summary>Sends a message as DingTalk does. Returns the status.</summary>
    private static async Task<int> PushAsync(CrashWorld world, string message)
    {
        var push = s_crypto.Seal(message, world.Time.GetUtcNow());
        return (await world.CallAsync<ReceiveDingTalkEvent>(
            $$"""{"encrypt":"{{push.Encrypt}}"}""", new Dictionary<string, string> { ["tenant"] = "sandbox" }, IntakeScenario.Query(push.Signature, push.TimeStamp, push.Nonce))).Status;
    }

    private static async Task<HashSet<string>> HoldingsAsync(CrashWorld world) => [.. await LinesAsync(world, "reading|")];

    /// <summary>The lines of the rows of the permission log.</summary>
    private static async Task<IReadOnlyList<string>> LinesAsync(CrashWorld world, string prefix)
    {
        List<string> lines = [];
        foreach (var row in await world.RowsAsync(AuditRows.TrailTable, "permissions", prefix))
        {
            await using var zip = new GZipStream(new MemoryStream(InboxPayload.JoinChunks(row.Properties)), CompressionMode.Decompress);
            using var text = new StreamReader(zip, Encoding.UTF8);
            lines.AddRange((await text.ReadToEndAsync(Cancellation)).Split('\n', StringSplitOptions.RemoveEmptyEntries));
        }

        return lines;
    }
}
