using DingFlow.Hosting;
using DingFlow.Messaging;
using DingFlow.Transfers.Ledger;

namespace DingFlow.Transfers;

/// <summary>A person as callers name one: in a body, never in an address. Personal data: never logged.</summary>
/// <param name="Type">A word of <see cref="SubjectType"/>.</param>
/// <param name="Id">The identifier.</param>
/// <param name="Scope">What it is unique within, where that is not the exporter.</param>
internal sealed record SubjectName(string? Type, string? Id, string? Scope)
{
    /// <summary>The pseudonym of the identifier as one exporter means it; <see langword="null"/> when it is malformed.</summary>
    public SubjectPseudonym? For(Exporter exporter, Pseudonymizer pseudonymizer)
    {
        if (Id is null || Type is null || !SubjectTypes.TryParse(Type, out var type))
        {
            return null;
        }

        var scope = string.IsNullOrEmpty(Scope) ? SubjectTypes.DefaultScope(type, exporter) : Scope;
        return pseudonymizer.TryPseudonymize(type, Id, scope, out var pseudonym) ? pseudonym : null;
    }

    /// <summary>Says nothing: the record is personal data.</summary>
    public override string ToString() => nameof(SubjectName);
}

/// <summary>A request about one person.</summary>
/// <param name="Subject">Who.</param>
/// <param name="Exporter">Only at this exporter; <see langword="null"/> for all that the caller may act for.</param>
/// <param name="Reason">Why, for the audit.</param>
internal sealed record SubjectRequest(SubjectName? Subject, string? Exporter, string? Reason);

/// <summary>Two names of one person.</summary>
/// <param name="Subjects">The names, two to thirty-two.</param>
/// <param name="Exporter">Whose scope names without one have.</param>
/// <param name="Reason">How it is known, for the audit.</param>
internal sealed record UniteRequest(IReadOnlyList<SubjectName?>? Subjects, string? Exporter, string? Reason);

/// <summary>
/// <c>POST subjects/lookup</c>: what is held on one person, for an access request (PIPL article 45). Searched under every identifier that is
/// known to be the person's. Answered without repeating the identifier.
/// </summary>
public sealed partial class LookUpSubject(
    TransfersOptions options, PseudonymKey key, SubjectIdentities identities, SubjectLinks links, SubjectLedger ledger, IAuditTrail trail,
    ILogger<LookUpSubject> logger) : IHttpFunction
{
    private const int MostRecords = 10_000;

    /// <inheritdoc/>
    public Task InvokeAsync(HttpContext context) => context.GuardLedgerAsync(async () =>
    {
        if (await SubjectPlaces.ReadAsync(context, options, key) is not { } places)
        {
            return;
        }

        foreach (var lookUp in places.Events(context, TransferAudit.SubjectLookedUp))
        {
            await trail.AppendAsync(lookUp, context.RequestAborted);
        }

        // Records are read from the first to the last: a large ledger takes longer than a request may.
        context.Features.Get<RequestTimeLimit>()?.Lift();
        await identities.RefreshAsync(context.RequestAborted);
        await links.SettleAsync(context.RequestAborted);
        List<SubjectHoldings> holdings = [];
        foreach (var (exporter, pseudonym) in places.At)
        {
            if (await HoldingsAsync(exporter, identities.PersonOf(pseudonym), context.RequestAborted) is { } held)
            {
                holdings.Add(held);
            }
        }

        Log.LookedUp(logger, context.Principal(), holdings.Count);
        await context.WriteJsonAsync(new SubjectView(holdings), TransfersJson.Default.SubjectView);
    });

    private async Task<SubjectHoldings?> HoldingsAsync(Exporter exporter, IReadOnlySet<SubjectPseudonym> person, CancellationToken cancellationToken)
    {
        var years = new SortedDictionary<int, HashSet<TransferFact>>();
        foreach (var pseudonym in person)
        {
            foreach (var (year, facts) in (await ledger.ReadSubjectAsync(exporter.Id, pseudonym, cancellationToken)).Years)
            {
                (years.TryGetValue(year, out var all) ? all : years[year] = []).UnionWith(facts);
            }
        }

        // Records that say nothing personal, or of years that are no longer counted, are held all the same.
        var (records, count) = (new List<RecordView>(), 0L);
        await foreach (var record in ledger.ReadRecordsOfAnyAsync(exporter.Id, person, cancellationToken))
        {
            if (count++ < MostRecords)
            {
                records.Add(RecordView.Of(record));
            }
        }

        return years.Count == 0 && count == 0 ? null : new(
            exporter.Id, [.. years.Select(year => new YearView(year.Key, [.. year.Value.Select(FactView.Of)]))], records, count);
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Information, "{Principal} looked up what is held on a person. Exporters that hold something: {Exporters}")]
        public static partial void LookedUp(ILogger logger, string? principal, int exporters);
    }
}

/// <summary>
/// <c>POST subjects/erase</c>: forgets a person whose records are all past their retention: the entry in the ledger, the records, the links
/// between identifiers.
/// </summary>
public sealed partial class EraseSubject(
    TransfersOptions options, PseudonymKey key, SubjectIdentities identities, SubjectLinks links, SubjectLedger ledger, ChangeJournal journal,
    ILogger<EraseSubject> logger) : IHttpFunction
{
    /// <inheritdoc/>
    public Task InvokeAsync(HttpContext context) => context.GuardLedgerAsync(async () =>
    {
        if (await SubjectPlaces.ReadAsync(context, options, key) is not { } places)
        {
            return;
        }

        context.Features.Get<RequestTimeLimit>()?.Lift();
        var erased = await AuditedChange.RunAsync(
            journal, LedgerQuestion.Erase(places.At.Select(static place => (place.Exporter.Id, place.Pseudonym))), places.Events(context, TransferAudit.SubjectErased), details => EraseAsync(places, details, context.RequestAborted), context.RequestAborted);
        Log.Erased(logger, context.Principal(), erased.Count);
        await context.WriteJsonAsync(new ErasureView(erased), TransfersJson.Default.ErasureView);
    });

    private async Task<IReadOnlyList<string>> EraseAsync(SubjectPlaces places, IDictionary<string, string> details, CancellationToken cancellationToken)
    {
        await identities.RefreshAsync(cancellationToken);
        await links.SettleAsync(cancellationToken);
        SortedSet<string> erased = new(StringComparer.Ordinal);
        foreach (var (exporter, pseudonym) in places.At)
        {
            if (await ledger.EraseSubjectAsync(exporter.Id, identities.PersonOf(pseudonym), cancellationToken))
            {
                erased.Add(exporter.Id);
                details["erased"] = string.Join(' ', erased);
            }
        }

        if (places.IsEverywhere(options))
        {
            foreach (var (_, pseudonym) in places.At)
            {
                await identities.EraseAsync(pseudonym, cancellationToken);
            }
        }

        return [.. erased];
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Warning, "{Principal} had a person erased. Exporters that held something: {Exporters}")]
        public static partial void Erased(ILogger logger, string? principal, int exporters);
    }
}

/// <summary><c>POST subjects/unite</c>: says that identifiers belong to one person, once and for all. The person is counted once from then on.</summary>
public sealed partial class UniteSubjects(
    TransfersOptions options, PseudonymKey key, SubjectLinks links, ChangeJournal journal, ILogger<UniteSubjects> logger) : IHttpFunction
{
    private const int MaximumBody = 32 * 1024;
    private const int MostNames = 32;

    /// <inheritdoc/>
    public Task InvokeAsync(HttpContext context) => context.GuardLedgerAsync(async () =>
    {
        if (await context.ReadJsonAsync(TransfersJson.Default.UniteRequest, MaximumBody) is not { } request
            || await context.ExporterAsync(options, request.Exporter) is not { } exporter)
        {
            return;
        }

        if (TransferRoutes.ReasonIn(request.Reason) is not { } reason)
        {
            await context.ProblemAsync(ProblemCode.Malformed, TransferRoutes.ReasonWanted);
            return;
        }

        // One person is one person at every exporter: who may act for some only would lower the counts of the others, for good.
        if (!options.Exporters.Values.All(one => context.MayUseExporter(one.Id)))
        {
            await context.ProblemAsync(ProblemCode.Forbidden, "Identifiers are united for all exporters; this key is confined to some.");
            return;
        }

        using var pseudonymizer = key.CreatePseudonymizer();
        var names = request.Subjects?.Select(name => name?.For(exporter, pseudonymizer)).ToList() ?? [];
        if (names.Count is < 2 or > MostNames || names.Contains(null))
        {
            await context.ProblemAsync(ProblemCode.Invalid, "subjects must be 2 to 32 well-formed identifiers, each with type, id and, where its type needs it, scope.");
            return;
        }

        var said = TransferAudit.By(context, TransferAudit.SubjectsUnited, new("exporter", exporter.Id)) with
        {
            Exporter = exporter.Id,
            Subject = names[0]!.Value.ToString(),
            Reason = reason,
            Details = new Dictionary<string, string> { ["identifiers"] = names.Count.ToString(System.Globalization.CultureInfo.InvariantCulture) },
        };
        var united = await AuditedChange.RunAsync(
            journal, LedgerQuestion.Unite([[.. names.OfType<SubjectPseudonym>()]]), [said],
            async details =>
            {
                var (united, full) = await links.LinkAsync([[.. names.OfType<SubjectPseudonym>()]], context.RequestAborted);
                details["united"] = united.ToString(System.Globalization.CultureInfo.InvariantCulture);
                return full.Count == 0 ? united : throw new LedgerRefusalException(LedgerRefusal.TooManyUnions);
            },
            context.RequestAborted);
        Log.United(logger, context.Principal(), names.Count, united);
        await context.WriteJsonAsync(new UnionView(united), TransfersJson.Default.UnionView);
    });

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Warning, "{Principal} said that {Identifiers} identifiers are one person. Entries united: {United}")]
        public static partial void United(ILogger logger, string? principal, int identifiers, int united);
    }
}

/// <summary>Where a request looks for a person: the exporters, and the person's pseudonym at each.</summary>
internal sealed record SubjectPlaces(IReadOnlyList<(Exporter Exporter, SubjectPseudonym Pseudonym)> At, string Reason)
{
    private const int MaximumBody = 4 * 1024;

    /// <summary>What the trail says of who asks about whom, and why: an event for each pseudonym, of which the person has one at each exporter or for all.</summary>
    public IReadOnlyList<AuditEvent> Events(HttpContext context, AuditKind kind) =>
    [
        .. At.GroupBy(place => place.Pseudonym).Select(ofPerson => TransferAudit.By(context, kind, new("subject", ofPerson.Key.ToString())) with
        {
            Subject = ofPerson.Key.ToString(), Exporter = ofPerson.Count() == 1 ? ofPerson.First().Exporter.Id : null, Reason = Reason,
        }),
    ];

    public bool IsEverywhere(TransfersOptions options) => At.Count == options.Exporters.Count;

    /// <summary>Reads the request; <see langword="null"/> when it is not acceptable, which has then been answered.</summary>
    public static async Task<SubjectPlaces?> ReadAsync(HttpContext context, TransfersOptions options, PseudonymKey key)
    {
        if (await context.ReadJsonAsync(TransfersJson.Default.SubjectRequest, MaximumBody) is not { } request)
        {
            return null;
        }

        if (TransferRoutes.ReasonIn(request.Reason) is not { } reason)
        {
            await context.ProblemAsync(ProblemCode.Malformed, TransferRoutes.ReasonWanted);
            return null;
        }

        IReadOnlyList<Exporter> exporters;
        if (request.Exporter is not null)
        {
            if (await context.ExporterAsync(options, request.Exporter) is not { } only)
            {
                return null;
            }

            exporters = [only];
        }
        else
        {
            exporters = [.. options.Exporters.Values.Where(exporter => context.MayUseExporter(exporter.Id)).OrderBy(exporter => exporter.Id, StringComparer.Ordinal)];
        }

        using var pseudonymizer = key.CreatePseudonymizer();
        List<(Exporter, SubjectPseudonym)> at = [];
        foreach (var exporter in exporters)
        {
            if (request.Subject?.For(exporter, pseudonymizer) is { } pseudonym)
            {
                at.Add((exporter, pseudonym));
            }
        }

        if (at.Count > 0)
        {
            return new(at, reason);
        }

        await context.ProblemAsync(ProblemCode.Invalid, "subject must be a well-formed identifier with type, id and, where its type needs it, scope.");
        return null;
    }
}

/// <summary>What is held on a person.</summary>
internal sealed record SubjectView(IReadOnlyList<SubjectHoldings> Exporters);

/// <summary>What one exporter holds on a person.</summary>
/// <param name="Exporter">The exporter's id.</param>
/// <param name="Years">What was transferred, by calendar year (Asia/Shanghai).</param>
/// <param name="Records">The records that are kept, at most ten thousand.</param>
/// <param name="RecordCount">How many are kept.</param>
internal sealed record SubjectHoldings(string Exporter, IReadOnlyList<YearView> Years, IReadOnlyList<RecordView> Records, long RecordCount);

/// <summary>What was transferred in a year.</summary>
internal sealed record YearView(int Year, IReadOnlyList<FactView> Facts);

/// <summary>One kind of information that went to one recipient.</summary>
internal sealed record FactView(string Lane, string Recipient, string Class, string Exemption, bool Minor)
{
    public static FactView Of(TransferFact fact) =>
        new(fact.Lane.ToString(), fact.Recipient, Vocabulary.Of(fact.Class), Vocabulary.Of(fact.Exemption), fact.Minor);
}

/// <summary>A record as it is kept.</summary>
internal sealed record RecordView(
    string Id, string BatchId, DateTimeOffset OccurredAt, IReadOnlyList<string> Fields, IReadOnlyList<FactView> Facts, string Purpose,
    string LegalBasis, string? Mechanism, string Method, string System, string? Evidence, string? Scenario, string? NoticeVersion, ConsentView? Consent)
{
    public static RecordView Of(LedgerRecord record) => new(
        record.RecordId, record.BatchId, LegalTime.Of(record.OccurredAt), record.Circumstances.Fields, [.. record.Facts.Select(FactView.Of)],
        record.Circumstances.Purpose, record.Circumstances.LegalBasis, record.Circumstances.Mechanism, record.Circumstances.Method,
        record.Circumstances.System, record.Circumstances.Evidence, record.Circumstances.Paperwork?.Scenario, record.Circumstances.Paperwork?.NoticeVersion,
        ConsentView.Of(record));
}

/// <summary>What a record says of consent.</summary>
internal sealed record ConsentView(string? Id, DateTimeOffset? At, string? Version, bool? Separate)
{
    public static ConsentView? Of(LedgerRecord record)
    {
        var view = new ConsentView(
            record.Consent?.Id, record.Consent?.At is { } at ? LegalTime.Of(at) : null, record.Circumstances.Paperwork?.ConsentVersion, record.Circumstances.Paperwork?.SeparateConsent);
        return view == new ConsentView(null, null, null, null) ? null : view;
    }
}

/// <summary>At which exporters a person was forgotten.</summary>
internal sealed record ErasureView(IReadOnlyList<string> Erased);

/// <summary>How many entries of the ledger were brought into another.</summary>
internal sealed record UnionView(int United);
