using DingFlow.Messaging;
using DingFlow.Storage;
using DingFlow.Tests.Audit;
using DingFlow.Transfers;
using DingFlow.Transfers.Ledger;
using Microsoft.Extensions.Time.Testing;

namespace DingFlow.Tests.Transfers;

/// <summary>Who of a contact list or an HR source counts, and as whom: on the real intake, ledger and identity map, with a clock that the test turns.</summary>
public sealed class FeedCountingTests : IAsyncDisposable
{
    private static readonly PseudonymKey Key = new(new byte[32]);

    private static readonly TransfersOptions Options = new()
    {
        Exporters = new Dictionary<string, Exporter>(StringComparer.OrdinalIgnoreCase) { ["one"] = new() { Id = "one" }, ["two"] = new() { Id = "two" } },
    };

    private readonly LedgerMemoryStore _store = new();
    private readonly FakeTimeProvider _time = LedgerScenario.Clock();
    private readonly SubjectLedger _ledger;
    private readonly SubjectIdentities _identities;
    private readonly BulkScheduler _bulk = new(new(TimeProvider.System));
    private readonly PeopleCounting _counting;
    private readonly TransferIntake _intake;
    private int _events;

    public FeedCountingTests()
    {
        _ledger = LedgerScenario.Ledger(_store, time: _time);
        _identities = new(_store, Key);
        var (journal, trail) = TestJournal.Aside(_time);
        _intake = new(
            Options, new(() => FieldClassifier.Load(ClassificationProfile.Conservative, Options.FieldMap, (_, _) => { })), Key, _identities, _ledger, _bulk, journal, trail, _time);
        _counting = new(_intake, _identities, new SubjectLinks(Options, _identities, _ledger), new(_store, _time), _ledger, Key, journal, _time);
    }

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask DisposeAsync()
    {
        await _ledger.DisposeAsync();
        _identities.Dispose();
        _bulk.Dispose();
    }

    [Fact]
    public async Task One_person_is_one_under_user_id_union_id_job_number_and_address_whichever_comes_first()
    {
        var feed = Feed();
        await ReportAsync("one", SubjectType.EmployeeId, "E1");
        await ReportAsync("one", SubjectType.Email, "wei@acme.example");
        await ReportAsync("one", SubjectType.UnionId, "un1");
        Assert.Equal(3, await SubjectsAsync("one"));

        await SeenAsync(feed, Person("u1", "un1", "E1", "wei@acme.example"));

        Assert.Equal(1, await SubjectsAsync("one"));
        await ReadAsync(feed, Person("u1", "un1", "E1", "WEI@acme.example"), Person("u2", "un2"));
        await ReportAsync("one", SubjectType.EmployeeId, "e1");
        Assert.Equal(2, await SubjectsAsync("one"));
    }

    [Fact]
    public async Task Everybody_counts_anew_from_the_first_moment_of_the_year_in_Shanghai_and_once_in_it()
    {
        var feed = Feed();
        _time.SetUtcNow(new(2026, 12, 31, 15, 59, 59, TimeSpan.Zero));
        await ReadAsync(feed, Person("u1"), Person("u2"));
        await ReadAsync(feed, Person("u1"), Person("u2"));
        Assert.Equal((2, 0), (await SubjectsAsync("one", 2026), await SubjectsAsync("one", 2027)));

        _time.SetUtcNow(new(2026, 12, 31, 16, 0, 0, TimeSpan.Zero));
        await ReadAsync(feed, Person("u2"), Person("u3"));
        await SeenAsync(feed, Person("u3"));
        _time.Advance(TimeSpan.FromDays(200));
        await ReadAsync(feed, Person("u2"), Person("u3"));

        // Who left in the year that ended is not reachable any more.
        Assert.Equal((2, 2), (await SubjectsAsync("one", 2026), await SubjectsAsync("one", 2027)));
    }

    [Fact]
    public async Task Somebody_who_leaves_and_comes_back_counts_once_also_under_another_user_id()
    {
        var feed = Feed();
        await ReadAsync(feed, Person("u1", "un1", "E1"), Person("u2", "un2"));
        await ReadAsync(feed, [Person("u1", "un1", "E1")], Person("u2", "un2"));

        // Back under the same user id, then under a new one: known by the union id before the night.
        await SeenAsync(feed, Person("u1", "un1", "E1"));
        Assert.Equal(2, await SubjectsAsync("one"));
        await SeenAsync(feed, Person("u1-new", "un1", "E77"));
        Assert.Equal(2, await SubjectsAsync("one"));
        await ReadAsync(feed, [Person("u1", "un1", "E1")], Person("u1-new", "un1", "E77"), Person("u2", "un2"));
        await ReportAsync("one", SubjectType.EmployeeId, "E77");

        Assert.Equal(2, await SubjectsAsync("one"));
    }

    [Fact]
    public async Task An_address_or_a_number_of_a_leaver_that_is_given_anew_unites_nobody()
    {
        var feed = Feed();
        FeedPerson[] former = [Person("u1", "un1", "E1", "wei@acme.example")];
        await ReadAsync(feed, [], former[0], Person("u2", "un2"));
        await SeenAsync(feed, Person("u3", "un3", "E3", "wei@acme.example"));
        Assert.Equal(3, await SubjectsAsync("one"));

        await ReadAsync(feed, [Person("u1")], Person("u2", "un2"), Person("u3", "un3", "E3", "wei@acme.example"), Person("u4", "un4", "E1"));
        await ReadAsync(feed, [Person("u1")], Person("u2", "un2"), Person("u3", "un3", "E3", "wei@acme.example"), Person("u4", "un4", "E1"));

        Assert.Equal(4, await SubjectsAsync("one"));
    }

    [Fact]
    public async Task What_an_HR_source_said_of_a_person_is_the_persons_when_the_contact_list_names_both()
    {
        // Number and address are linked by HR before the contact list is read: they are known, and of nobody who left the list.
        var (contacts, hr) = (Feed(), Feed(source: "hr/acme", corp: ""));
        await ReadAsync(hr, Hr("E1", "wei@acme.example"), Hr("E2", "ana@acme.example"));

        await ReadAsync(contacts, Person("u1", "un1", "E1", "wei@acme.example"), Person("u2", "un2", null, "ana@acme.example"));

        Assert.Equal(2, await SubjectsAsync("one"));
    }

    [Fact]
    public async Task An_address_that_an_HR_source_gives_to_a_successor_unites_nobody()
    {
        // One who was there at night, one whom only an event named between two nights.
        var hr = Feed(source: "hr/acme", corp: "");
        await ReadAsync(hr, Hr("E1", "sales@acme.example"), Hr("E2", "ana@acme.example"));
        await SeenAsync(hr, Hr("E3", "help@acme.example"));
        await SeenAsync(hr, Hr("E4", "sales@acme.example"));
        Assert.Equal(4, await SubjectsAsync("one"));

        FeedPerson[] now = [Hr("E4", "sales@acme.example"), Hr("E2", "ana@acme.example"), Hr("E5", "help@acme.example")];
        await ReadAsync(hr, now);
        await ReadAsync(hr, now);

        Assert.Equal(5, await SubjectsAsync("one"));
        await ReportAsync("one", SubjectType.Email, "ana@acme.example");
        Assert.Equal(5, await SubjectsAsync("one"));
    }

    [Fact]
    public async Task Who_comes_back_to_an_HR_source_is_the_same_person_and_who_left_long_ago_is_forgotten()
    {
        var hr = Feed(source: "hr/acme", corp: "");
        await ReadAsync(hr, Hr("E1", "wei@acme.example"), Hr("E2", "ana@acme.example"));
        await ReadAsync(hr, Hr("E2", "ana@acme.example"));
        await ReadAsync(hr, Hr("E1", "wei@acme.example"), Hr("E2", "ana@acme.example"));
        Assert.Equal(2, await SubjectsAsync("one"));

        await ReadAsync(hr, Hr("E2", "ana@acme.example"));
        _time.Advance(TimeSpan.FromDays(396));
        await ReadAsync(hr, Hr("E2", "ana@acme.example"));
        Assert.Single((await _store.QueryAsync("FeedMembers", "hr|acme", RowKeyRange.All, 10, null, Token)).Entities);
    }

    [Fact]
    public async Task Two_people_of_a_list_with_one_mailbox_stay_two()
    {
        var feed = Feed();
        await ReadAsync(feed, Person("u1", "un1", null, "desk@acme.example"), Person("u2", "un2", null, "desk@acme.example"));
        await ReadAsync(feed, Person("u1", "un1", null, "desk@acme.example"), Person("u2", "un2", null, "desk@acme.example"));

        Assert.Equal(2, await SubjectsAsync("one"));
    }

    [Fact]
    public async Task Tenants_abroad_of_two_exporters_count_each_its_own_and_a_person_of_both_once_for_each()
    {
        var (one, two) = (Feed(), Feed("two", "corp-two", "dingtalk/two"));
        await ReadAsync(one, Person("u1", "un1", "E1", "wei@acme.example"), Person("u2", "un2", "E2"));
        await ReadAsync(two, Person("x1", "ux1", "E1", null, "corp-two", "two"), Person("x2", "ux2", "E9", "wei@acme.example", "corp-two", "two"), Person("x3", "ux3", null, null, "corp-two", "two"));

        Assert.Equal((2, 3), (await SubjectsAsync("one"), await SubjectsAsync("two")));
        // The same again from both sides changes nothing, whose number E1 is decides the exporter.
        await ReadAsync(one, Person("u1", "un1", "E1", "wei@acme.example"), Person("u2", "un2", "E2"));
        await ReportAsync("two", SubjectType.EmployeeId, "E1");
        await ReportAsync("one", SubjectType.Email, "wei@acme.example");
        Assert.Equal((2, 3), (await SubjectsAsync("one"), await SubjectsAsync("two")));
    }

    [Theory]
    [InlineData(JobNumberScope.Tenant, 2)]
    [InlineData(JobNumberScope.Exporter, 1)]
    public async Task A_number_in_two_organisations_of_an_exporter_is_one_person_only_where_numbers_are_the_exporters(JobNumberScope scope, int expected)
    {
        var (zhuhai, macau) = (Feed() with { JobNumbers = scope }, Feed(corp: "corp-macau", source: "dingtalk/macau") with { JobNumbers = scope });
        await ReadAsync(zhuhai, FeedPeople.Of(zhuhai, new() { UserId = "u1", UnionId = "un1", JobNumber = "E1" }));
        await ReadAsync(macau, FeedPeople.Of(macau, new() { UserId = "m1", UnionId = "un2", JobNumber = "E1" }), FeedPeople.Of(macau, new() { UserId = "m2" }));

        Assert.Equal(expected + 1, await SubjectsAsync("one"));
    }

    [Fact]
    public async Task One_person_who_cannot_be_counted_keeps_nobody_else_from_being_counted()
    {
        var feed = Feed();

        var fault = await Assert.ThrowsAsync<UnusableMessageException>(() => ReadAsync(feed, Person("u1"), Person(new string('x', 400)), Person("u2")));

        Assert.Contains("1 of 3 people", fault.Message, StringComparison.Ordinal);
        Assert.Equal(2, await SubjectsAsync("one"));
    }

    [Fact]
    public async Task An_event_that_is_handled_again_after_success_counts_nothing_again_and_one_from_the_future_counts_now()
    {
        var feed = Feed();
        var people = new[] { Person("u1", "un1"), Person("u2", "un2") };
        var ahead = _time.GetUtcNow().AddDays(60);
        Assert.Equal(2, await _counting.CountAsync(feed, people, "d1", ahead, Token));
        Assert.Equal(0, await _counting.CountAsync(feed, people, "d1", ahead, Token));

        Assert.Equal((2, 0), (await SubjectsAsync("one", 2026), await SubjectsAsync("one", 2027)));
    }

    private static PeopleFeed Feed(string exporter = "one", string corp = "corp-one", string source = "dingtalk/one") => new()
    {
        Source = source, CorpId = corp, Exporter = Options.Exporters[exporter], Origin = Country.Parse("CN"), Destination = Country.Parse("SG"), Recipient = "dingtalk-sg",
        Fields = PeopleFeedOptions.ContactFields, Purpose = "contact list", LegalBasis = "employment", Method = "remoteAccess", System = "dingtalk",
    };

    private static FeedPerson Person(
        string userId, string? unionId = null, string? jobNumber = null, string? email = null, string corp = "corp-one", string exporter = "one") => FeedPeople.Of(
        Feed(exporter, corp), new DingFlow.DingTalk.DingTalkUser { UserId = userId, UnionId = unionId, JobNumber = jobNumber, Email = email });

    private static FeedPerson Hr(string number, string email)
    {
        using var pseudonymizer = Key.CreatePseudonymizer();
        return FeedPeople.Of(Feed(source: "hr/acme", corp: ""), new HeldPerson(number, email, null), pseudonymizer)!;
    }

    private Task<long> ReadAsync(PeopleFeed feed, params FeedPerson[] people) => ReadAsync(feed, [], people);

    private Task<long> ReadAsync(PeopleFeed feed, FeedPerson[] former, params FeedPerson[] people) => _counting.CountAllAsync(feed, people, former, Token);

    private Task<long> SeenAsync(PeopleFeed feed, params FeedPerson[] people) => _counting.CountAsync(feed, people, $"event-{++_events}", _time.GetUtcNow(), Token);

    /// <summary>Another system reports a transfer under an identifier of its own.</summary>
    private async Task ReportAsync(string exporter, SubjectType type, string id)
    {
        using var reader = _intake.CreateReader(static _ => true);
        var (transfer, refusal) = reader.Read(new TransferRecord
        {
            Id = $"t-{++_events}", OccurredAt = _time.GetUtcNow(), Exporter = exporter, Subject = new(SubjectTypes.WordOf(type), id, null), Fields = ["name"], Origin = "CN",
            Destination = "SG", Recipient = "acme-sg", Purpose = "payroll", LegalBasis = "contract", Method = "api", System = "payroll",
        });
        Assert.True(transfer is not null, refusal?.Message);
        await _intake.RecordAsync(
            $"batch-{_events}", [transfer], new() { Kind = TransferAudit.BatchRecorded, Actor = AuditActor.System("Tests"), Payload = PayloadHash.None }, Token);
    }

    private async Task<long> SubjectsAsync(string exporter, int year = 2026) => (await _ledger.ReadCountersAsync(exporter, year, Token)).Subjects;
}
