using System.Globalization;
using System.Text;
using DingFlow.Audit;
using DingFlow.Intake;
using DingFlow.Messaging;
using DingFlow.Offboarding;
using DingFlow.Scim;
using DingFlow.Signals;
using DingFlow.Storage;
using DingFlow.Tests.Infrastructure;
using DingFlow.Tests.Intake;
using DingFlow.Tests.Scim;
using DingFlow.Tests.Signals;

namespace DingFlow.Tests.Audit;

/// <summary>Wherever the process dies: what came in from outside, and what subscribers and the permission log were told.</summary>
public sealed class IntakeCrashTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public Task A_delivery_is_told_as_accepted_exactly_when_it_is_stored() => CrashPoints.EveryAsync(new()
    {
        Act = static world => PostAsync(world),
        State = static async world => (await DeliveriesAsync(world)).Select(static row => row.RowKey[2..]),
        Told = static entries => entries.Where(static entry => entry.Kind == InboxAudit.DeliveryAccepted.Name).Select(static entry => entry.Said.On!.Id),
        Final = static async world => Assert.Single(await DeliveriesAsync(world)),
    });

    /// <summary>A repetition changes nothing, so its entry stands for the answer: whoever was answered has one, and nobody has two.</summary>
    [Fact]
    public async Task A_repetition_that_was_answered_is_told()
    {
        var answered = new Dictionary<CrashWorld, int>();
        await CrashPoints.EveryAsync(new()
        {
            Arrange = static world => PostAsync(world),
            Act = async world =>
            {
                if (await PostAsync(world) == 202)
                {
                    answered[world] = answered.GetValueOrDefault(world) + 1;
                }
            },
            State = static async world => (await DeliveriesAsync(world)).Select(static row => row.RowKey[2..]),
            Told = static entries => entries.Where(static entry => entry.Kind == InboxAudit.DeliveryAccepted.Name).Select(static entry => entry.Said.On!.Id),
            Final = async world =>
            {
                var told = (await world.EntriesAsync()).Count(static entry => entry.Kind == InboxAudit.DeliveryRepeated.Name);
                Assert.InRange(told, answered[world], 2);
            },
        });
    }

    /// <summary>
    /// A refusal changes nothing and its entry follows the answer, so that nobody's forgeries make the trail wait: the one at which a process
    /// dies may lack it, and none has two.
    /// </summary>
    [Fact]
    public Task A_refusal_is_told_once_and_lets_nothing_in() => CrashPoints.EveryAsync(new()
    {
        Act = static async world => Assert.Equal(401, await PostAsync(world, secret: "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=")),
        State = static async world => (await DeliveriesAsync(world)).Select(static row => row.RowKey),
        Told = static _ => [],
        Final = static async world => Assert.InRange((await world.EntriesAsync()).Count(static entry => entry.Kind == "intake.delivery_refused"), 1, 2),
    });

    [Fact]
    public Task A_user_of_an_identity_provider_is_told_as_created_and_as_changed() => CrashPoints.EveryAsync(new()
    {
        Act = static async world =>
        {
            var route = new Dictionary<string, string> { ["source"] = "idp" };
            await world.CallAsync<CreateScimUser>(ScimProgram.User("e1@acme.example", "E1").ToString(), route, prepare: AsScim);
            if (await UserAsync(world) is { } user)
            {
                route["id"] = user.Id;
                await world.CallAsync<ReplaceScimUser>(ScimProgram.User("e1@acme.example", "E1", active: false).ToString(), route, prepare: AsScim);
            }
        },
        State = static async world => await UserAsync(world) is not { } user ? [] : user.User.Active ? ["created"] : ["created", "left"],
        Told = static entries => entries.Where(static entry => entry.Kind == "scim.user_created").Select(static _ => "created")
            .Concat(entries.Where(static entry => entry.Kind == "scim.user_changed" && entry.Detail("active") == "false").Select(static _ => "left")),
        Final = static async world => Assert.False((await UserAsync(world))!.User.Active),
        Settings = ScimSettings,
    });

    [Fact]
    public Task A_user_of_an_identity_provider_is_told_as_removed() => CrashPoints.EveryAsync(new()
    {
        Arrange = static world => world.CallAsync<CreateScimUser>(
            ScimProgram.User("e1@acme.example", "E1").ToString(), new Dictionary<string, string> { ["source"] = "idp" }, prepare: AsScim),
        Act = static async world =>
        {
            if (await UserAsync(world) is { } user)
            {
                await world.CallAsync<DeleteScimUser>(route: new Dictionary<string, string> { ["source"] = "idp", ["id"] = user.Id });
            }
        },
        State = static async world => await UserAsync(world) is null ? ["removed"] : [],
        Told = static entries => OperatorCrashTests.Words(entries, ("scim.user_removed", "removed")),
        Final = static async world => Assert.Null(await UserAsync(world)),
        Settings = ScimSettings,
    });

    [Fact]
    public Task A_reading_of_permissions_is_told_with_what_changed() => CrashPoints.EveryAsync(new()
    {
        Act = static world => world.TickAsync<SnapshotPermissions>(),
        State = static async world => (await world.RowsAsync(AuditRows.TrailTable, "permissions")).Where(static row => row.RowKey.StartsWith("reading|", StringComparison.Ordinal))
            .Select(static _ => "taken"),
        Told = static entries => entries.Where(static entry => entry is { Kind: "permissions.snapshot_taken", Said.Outcome: AuditOutcome.Succeeded }).Select(static _ => "taken"),
        Final = static async world => Assert.Contains(await world.RowsAsync(AuditRows.TrailTable, "permissions"), static row => row.RowKey == "reading|dingflow"),
        WithRemotes = true,
    });

    [Fact]
    public async Task A_subscriber_is_told_of_in_the_trail_exactly_when_it_took_the_signal()
    {
        await using var subscriber = await SubscriberStandIn.StartAsync();
        await CrashPoints.EveryAsync(new()
        {
            Arrange = static world => world.Get<CaseStore>().AddAsync(Verified(world), Cancellation),
            Act = static async world =>
            {
                await foreach (var @case in world.Get<CaseStore>().AllAsync(Cancellation))
                {
                    await world.Get<CaseAnnouncements>().AnnounceAsync(@case.CaseId, Cancellation);
                }

                await world.PumpAsync<DeliverSignal>(Queues.Signals);
            },
            State = static async world => (await SignalsAsync(world)).Where(static row => row.Properties.Get<string>("State") == nameof(SignalState.Delivered)).Select(static _ => "told"),
            Told = static entries => OperatorCrashTests.Words(entries, ("signals.told", "told")),
            Final = static async world => Assert.Equal(nameof(SignalState.Delivered), Assert.Single(await SignalsAsync(world)).Properties.Get<string>("State")),
            Settings = new Dictionary<string, string?>
            {
                ["Signals:Issuer"] = TransmitterScenario.Issuer, ["Signals:SigningKeys:0"] = s_signingKey.Value, ["Signals:Subscribers:crm:Url"] = subscriber.Address.ToString(),
                ["Signals:Subscribers:crm:Audience"] = "https://crm.example", ["Signals:Subscribers:crm:Token"] = "the-bearer-token",
            },
        });
    }

    private static readonly Lazy<string> s_signingKey = new(static () => TransmitterScenario.NewKey(curve: true));

    private static Dictionary<string, string?> ScimSettings { get; } = new() { ["HrSources:idp:Dialect"] = "scim" };

    private static void AsScim(Microsoft.AspNetCore.Http.HttpRequest request) => request.ContentType = "application/scim+json";

    /// <summary>Posts a leaver as an HR system does. Returns the status.</summary>
    internal static async Task<int> PostAsync(CrashWorld world, string id = "msg_1", string secret = CrashWorld.HrSecret)
    {
        var body = Encoding.UTF8.GetBytes(IntakeScenario.Leaver);
        var timestamp = world.Time.GetUtcNow().ToUnixTimeSeconds();
        return (await world.CallAsync<ReceiveHrWebhook>(IntakeScenario.Leaver, new Dictionary<string, string> { ["source"] = "acme" }, prepare: request =>
        {
            request.Headers[StandardWebhooks.IdHeader] = id;
            request.Headers[StandardWebhooks.TimestampHeader] = timestamp.ToString(CultureInfo.InvariantCulture);
            request.Headers[StandardWebhooks.SignatureHeader] = StandardWebhooks.Sign(StandardWebhooks.DecodeSecret(secret)!, id, timestamp, body);
        })).Status;
    }

    /// <summary>The deliveries in the inbox.</summary>
    internal static async Task<IReadOnlyList<Entity>> DeliveriesAsync(CrashWorld world)
    {
        List<Entity> rows = [];
        foreach (var partition in InboxRows.Partitions)
        {
            rows.AddRange(await world.RowsAsync(InboxRows.Table, partition, "d|"));
        }

        return rows;
    }

    private static async Task<StoredScimUser?> UserAsync(CrashWorld world)
    {
        await foreach (var user in world.Get<ScimUserStore>().ScanAsync("idp", Cancellation))
        {
            return user;
        }

        return null;
    }

    private static OffboardingCase Verified(CrashWorld world) => new()
    {
        CaseId = CaseId.New(world.Time.GetUtcNow()), EmployeeId = "E1001", State = CaseState.Verified, ReceivedAt = world.Time.GetUtcNow(), DueAt = world.Time.GetUtcNow(),
        VerifiedAt = world.Time.GetUtcNow(), Identifiers = [new() { EmployeeId = "E1001", Email = "e1001@sandbox.example" }],
        Signals = [new() { DeliveryId = "d", Source = "hr/acme", Kind = PersonEventKind.Terminated, ReceivedAt = world.Time.GetUtcNow() }],
    };

    private static async Task<IReadOnlyList<Entity>> SignalsAsync(CrashWorld world)
    {
        List<Entity> rows = [];
        foreach (var partition in "0123456789abcdef")
        {
            rows.AddRange(await world.RowsAsync("Signals", partition.ToString()));
        }

        return rows;
    }
}
