using DingFlow.Transfers;

namespace DingFlow.Tests.Transfers;

/// <summary>People of a feed who are counted under another identifier already.</summary>
public sealed class PeopleCountingTests
{
    private const string Exporter = LedgerScenario.Exporter;

    private static readonly PeopleFeed Feed = new()
    {
        Source = "dingtalk/zhuhai", CorpId = "dingcorp1", Exporter = new() { Id = Exporter }, Origin = Country.Parse("CN"), Destination = Country.Parse("SG"), Recipient = "dingtalk-sg",
        Fields = ["name"], Purpose = "contact list", LegalBasis = "employment", Method = "remoteAccess", System = "dingtalk",
    };

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Whoever_was_recorded_by_job_number_stays_one_entry_without_a_union()
    {
        await using var world = new TransferWorld(new LedgerMemoryStore());
        await world.Ledger.AppendAsync(LedgerScenario.Batch("hr", RecordOf("E1"), RecordOf("E2")), Token);

        Assert.Equal(3, await Counting(world).CountAllAsync(Feed, [Person(1), Person(2), Person(3)], [], Token));

        Assert.Equal(3, (await world.Ledger.ReadCountersAsync(Exporter, 2026, Token)).Subjects);
        Assert.Equal(((SubjectPseudonym[])[Name("E1"), Name("E2")]).Order(), (await HeldAsync(world, Name("E1"), Name("E2"), Name("E3"))).Order());
        Assert.Equal([User("u3")], await HeldAsync(world, User("u1"), User("u2"), User("u3")));
        Assert.Equal(0, (await world.Links.SettleAndConfirmAsync(Token)).United);
    }

    [Fact]
    public async Task A_ledger_that_remembers_no_more_unions_still_counts_the_people_of_the_feed()
    {
        await using var world = new TransferWorld(new LedgerMemoryStore(), LedgerScenario.SmallOptions with { HeaderBytes = 0 });
        await world.Ledger.AppendAsync(LedgerScenario.Batch("hr", RecordOf("E1"), RecordOf("-", User("u1"))), Token);

        Assert.Equal(2, await Counting(world).CountAllAsync(Feed, [Person(1), Person(2)], [], Token));

        Assert.Equal([Exporter], (await world.Links.SettleAndConfirmAsync(Token)).Full);
        Assert.NotEmpty((await world.Identities.PendingAsync(Token)).Unions);
        Assert.Equal(3, (await world.Ledger.ReadCountersAsync(Exporter, 2026, Token)).Subjects);
    }

    private static PeopleCounting Counting(TransferWorld world) =>
        new(
            world.Intake, world.Identities, world.Links, new(new LedgerMemoryStore(), LedgerScenario.Clock()), world.Ledger, TransferWorld.Key, world.Journal, LedgerScenario.Clock());

    private static FeedPerson Person(int number) => new([(SubjectType.DingTalkUserId, $"u{number}", "dingcorp1"), (SubjectType.EmployeeId, $"E{number}", Exporter)]);

    private static SubjectPseudonym Name(string employeeId) => Pseudonym(SubjectType.EmployeeId, employeeId, Exporter);

    private static SubjectPseudonym User(string userId) => Pseudonym(SubjectType.DingTalkUserId, userId, "dingcorp1");

    private static SubjectPseudonym Pseudonym(SubjectType type, string id, string scope)
    {
        using var pseudonymizer = TransferWorld.Key.CreatePseudonymizer();
        Assert.True(pseudonymizer.TryPseudonymize(type, id, scope, out var pseudonym));
        return pseudonym;
    }

    private static SubjectTransfer RecordOf(string employeeId, SubjectPseudonym? subject = null) =>
        LedgerScenario.Record(0, facts: LedgerScenario.Fact(recipient: "dingtalk-sg", dataClass: DataClass.Finance)) with { RecordId = employeeId, Subject = subject ?? Name(employeeId) };

    private static async Task<List<SubjectPseudonym>> HeldAsync(TransferWorld world, params SubjectPseudonym[] names) => [.. await world.Ledger.HeldAsync(Exporter, names, Token)];
}
