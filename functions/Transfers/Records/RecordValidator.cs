using System.Diagnostics.CodeAnalysis;
using System.Numerics;
using System.Runtime.InteropServices;
using System.Text;
using DingFlow.Settings;

namespace DingFlow.Transfers;

/// <summary>Turns the pseudonym of one of a person's identifiers into the one under which the person is counted.</summary>
public interface ISubjectResolver
{
    /// <summary>The pseudonym under which the person is counted; the same when nothing else is known. Called once per record.</summary>
    SubjectPseudonym Resolve(SubjectPseudonym pseudonym);
}

/// <summary>Takes every identifier for a person of its own.</summary>
public sealed class UnlinkedSubjects : ISubjectResolver
{
    /// <summary>The one instance.</summary>
    public static UnlinkedSubjects Instance { get; } = new();

    private UnlinkedSubjects() { }

    /// <inheritdoc/>
    public SubjectPseudonym Resolve(SubjectPseudonym pseudonym) => pseudonym;
}

/// <summary>
/// Judges a draft and makes of it what the ledger takes in. What records share (facts, circumstances) is made once and shared. One
/// thread at a time.
/// </summary>
internal sealed class RecordValidator(
    TransfersOptions options, Pseudonymizer pseudonymizer, ISubjectResolver resolver, Func<string, bool> mayReport, TimeProvider timeProvider)
{
    private const int MinorUnder = 14;
    private const int SharedCapacity = 16 * 1024;

    /// <summary>Clocks of senders may run this far ahead of ours.</summary>
    private static readonly TimeSpan ClockTolerance = TimeSpan.FromMinutes(5);

    private readonly Dictionary<FactsKey, TransferFact[]> _facts = [];
    private readonly Dictionary<TransferCircumstances, TransferCircumstances> _circumstances = new(SameCircumstances.Instance);
    private readonly Dictionary<FieldClass[], string[]> _fieldLists = new(SameFields.Instance);
    private readonly Dictionary<ClaimKey, ExemptionVerdict> _verdicts = [];
    private readonly PlainTime _times = new();
    private DateTimeOffset _latest;
    private int _thisYear;

    /// <summary>Which property was refused; empty when none in particular.</summary>
    public string Property { get; private set; } = "";

    /// <summary>Reads the clock, which holds for the records that are judged until it is read again: to be called for every part of a batch.</summary>
    public void Begin()
    {
        var now = timeProvider.GetUtcNow();
        (_latest, _thisYear) = (now + ClockTolerance, LegalTime.YearOf(now));
    }

    /// <summary>Judges a draft; on <see cref="RefusalReason.None"/> the transfer is there.</summary>
    public RefusalReason Judge(RecordDraft draft, out SubjectTransfer? transfer)
    {
        transfer = null;
        Property = "";
        if ((draft.Seen & RecordProperties.Required) != RecordProperties.Required)
        {
            return Refuse(RefusalReason.MissingProperty, NameOf(RecordProperties.Required & ~draft.Seen));
        }

        if (draft.Exporter?.Exporter is not { } exporter)
        {
            return Refuse(RefusalReason.UnknownExporter, "exporter");
        }

        if (!mayReport(exporter.Id))
        {
            return Refuse(RefusalReason.ExporterNotAllowed, "exporter");
        }

        var notices = TransferNotices.None;
        if (JudgeTime(draft.OccurredAt, ref notices) is not RefusalReason.None and var late)
        {
            return Refuse(late, "occurredAt");
        }

        if (draft.ConsentAt > _latest)
        {
            return Refuse(RefusalReason.InTheFuture, "consent.at");
        }

        if (draft.Origin == draft.Destination)
        {
            return Refuse(RefusalReason.NotATransfer, "destination");
        }

        if (draft.Fields.Count + draft.Categories.Count is 0 or > RecordDraft.MaximumFields)
        {
            return Refuse(draft.Fields.Count == 0 ? RefusalReason.NoFields : RefusalReason.TooManyFields, "fields");
        }

        var classes = ClassesOf(draft, ref notices);
        var lane = new Lane(draft.Origin, draft.Destination);
        if (JudgeExemption(draft, exporter, lane, classes != 0, ref notices) is not RefusalReason.None and var claim)
        {
            return Refuse(claim, "exemption");
        }

        if (!TrySubject(draft, exporter, out var subject) || IsUnborn(draft.SubjectType, draft.SubjectId, draft.OccurredAt))
        {
            return Refuse(RefusalReason.InvalidSubject, "subject");
        }

        var minor = draft.Minor || IsMinor(draft);
        notices |= NoticesOn(draft);
        transfer = new(
            draft.Id, exporter.Id, resolver.Resolve(subject), draft.OccurredAt,
            FactsFor(new(lane, draft.Exemption, classes, minor, draft.Recipient!.Id)), CircumstancesFor(draft, notices));
        if (draft.ConsentId is not null || draft.ConsentAt is not null)
        {
            transfer = transfer with { Consent = new(draft.ConsentId, draft.ConsentAt) };
        }

        return RefusalReason.None;
    }

    /// <summary>
    /// Judges a record of a shape that is known, by the values in which it differs. <see langword="false"/> says nothing about it but
    /// that it is to be read in full.
    /// </summary>
    public bool TryJudge(
        RecordShape shape, ReadOnlySpan<byte> id, ReadOnlySpan<byte> moment, ReadOnlySpan<byte> subjectId, [NotNullWhen(true)] out SubjectTransfer? transfer)
    {
        transfer = null;
        var notices = TransferNotices.None;
        if (id.Length is 0 or > RecordJson.LongestId || !_times.TryRead(moment, out var occurredAt)
            || JudgeTime(occurredAt, ref notices) != RefusalReason.None
            || !pseudonymizer.TryPseudonymize(shape.SubjectType, shape.CanonicalPrefix, subjectId, out var subject))
        {
            return false;
        }

        var minor = shape.SaidToBeMinor;
        if (shape.SubjectType == SubjectType.IdCard)
        {
            Span<char> number = stackalloc char[CanonicalSubject.LongestIdentifier];
            number = number[..Encoding.ASCII.GetChars(subjectId, number)];
            if (IsUnborn(SubjectType.IdCard, number, occurredAt))
            {
                return false;
            }

            minor |= IsMinor(SubjectType.IdCard, number, occurredAt);
        }

        if (shape.FactsOn(minor) is not { } facts || shape.CircumstancesOf(notices != TransferNotices.None) is not { } circumstances)
        {
            return false;
        }

        transfer = new(Encoding.ASCII.GetString(id), shape.Exporter, resolver.Resolve(subject), occurredAt, facts, circumstances);
        return true;
    }

    /// <summary>The shape of a draft that was accepted, without what differs from record to record.</summary>
    public static RecordShape ShapeOf(RecordDraft draft, SubjectTransfer transfer, RecordValue[] order) => new()
    {
        Order = order,
        Exporter = transfer.Exporter,
        SubjectType = draft.SubjectType,
        CanonicalPrefix = CanonicalSubject.Prefix(draft.SubjectType, ScopeOf(draft, draft.Exporter!.Exporter!)),
        SaidToBeMinor = draft.Minor,
    };

    /// <summary>Teaches a shape what a record of it was found to say.</summary>
    public static void Teach(RecordShape shape, RecordDraft draft, SubjectTransfer transfer) => shape.Learn(
        draft.Minor || IsMinor(draft), (TransferFact[])transfer.Facts, transfer.Circumstances);

    private RefusalReason JudgeTime(DateTimeOffset occurredAt, ref TransferNotices notices)
    {
        if (occurredAt > _latest)
        {
            return RefusalReason.InTheFuture;
        }

        var year = LegalTime.YearOf(occurredAt);
        if (year < _thisYear)
        {
            notices |= TransferNotices.LastYear;
        }

        return year < _thisYear - options.RetentionYears ? RefusalReason.TooOld : RefusalReason.None;
    }

    /// <summary>
    /// The classes of all fields, a bit each. Where the record names categories, they say what the fields hold whose content decides.
    /// </summary>
    private static ulong ClassesOf(RecordDraft draft, ref TransferNotices notices)
    {
        var classes = 0UL;
        var decided = draft.Categories.Count > 0;
        foreach (var field in CollectionsMarshal.AsSpan(draft.Fields))
        {
            if (field.Notice == TransferNotices.ContextField && decided)
            {
                continue;
            }

            notices |= field.Notice;
            classes |= field.Class is { } dataClass ? 1UL << (int)dataClass : 0;
        }

        foreach (var category in CollectionsMarshal.AsSpan(draft.Categories))
        {
            classes |= category.Class is { } dataClass ? 1UL << (int)dataClass : 0;
        }

        if (classes == 0)
        {
            notices |= TransferNotices.NothingPersonal;
        }

        return classes;
    }

    private RefusalReason JudgeExemption(RecordDraft draft, Exporter exporter, Lane lane, bool personal, ref TransferNotices notices)
    {
        ClaimGreaterBayContract(draft);
        if (draft.Exemption == ExemptionKind.None)
        {
            return RefusalReason.None;
        }

        var key = new ClaimKey(draft.Exemption, exporter.Id, draft.Recipient!.Id, lane, personal);
        var cacheable = draft.Evidence is null && draft.Onward is null;
        if (!cacheable || !_verdicts.TryGetValue(key, out var verdict))
        {
            verdict = ExemptionPolicy.Default.Judge(new(
                draft.Exemption, exporter, draft.Recipient.Recipient, lane, personal,
                (IReadOnlyDictionary<string, string>?)draft.Evidence ?? NoEvidence, draft.Onward ?? []));
            if (cacheable && _verdicts.Count < SharedCapacity)
            {
                _verdicts[key] = verdict;
            }
        }

        notices |= verdict.WeakEvidence ? TransferNotices.WeakEvidence : TransferNotices.None;
        return verdict.Refusal;
    }

    private static readonly Dictionary<string, string> NoEvidence = [];

    /// <summary>The mechanism <c>gba:number</c> claims the contract's lane, with the filing number as evidence.</summary>
    private static void ClaimGreaterBayContract(RecordDraft draft)
    {
        if (draft.Exemption != ExemptionKind.None || draft.Mechanism is not { } mechanism
            || !mechanism.StartsWith("gba", StringComparison.OrdinalIgnoreCase) || (mechanism.Length > 3 && mechanism[3] != ':'))
        {
            return;
        }

        draft.Exemption = ExemptionKind.GreaterBayContract;
        if (mechanism.Length > 4)
        {
            draft.Evidence = new(StringComparer.OrdinalIgnoreCase) { ["filing"] = mechanism[4..] };
        }
    }

    private bool TrySubject(RecordDraft draft, Exporter exporter, out SubjectPseudonym subject) =>
        pseudonymizer.TryPseudonymize(draft.SubjectType, draft.SubjectId, ScopeOf(draft, exporter), out subject);

    private static ReadOnlySpan<char> ScopeOf(RecordDraft draft, Exporter exporter) =>
        draft.SubjectScope is { IsEmpty: false } scope ? scope : SubjectTypes.DefaultScope(draft.SubjectType, exporter);

    /// <summary>
    /// By the birth date that an identity number tells, at the time of the transfer. Full years are counted from the day after the birthday
    /// (the practice of the mainland's courts; from memory), so that a person is under 14 on the 14th birthday itself: it errs towards the
    /// duty. Whoever is born on 29 February has the birthday on the 28th of other years.
    /// </summary>
    private static bool IsMinor(RecordDraft draft) => IsMinor(draft.SubjectType, draft.SubjectId, draft.OccurredAt);

    private static bool IsMinor(SubjectType type, ReadOnlySpan<char> identifier, DateTimeOffset occurredAt) =>
        CanonicalSubject.BirthDate(type, identifier) is { } birth && birth.AddYears(MinorUnder) >= LegalTime.DayOf(occurredAt);

    /// <summary>The identity number is of somebody born after the transfer: it is mistyped, and would be counted as a person that nobody is.</summary>
    private static bool IsUnborn(SubjectType type, ReadOnlySpan<char> identifier, DateTimeOffset occurredAt) =>
        CanonicalSubject.BirthDate(type, identifier) > LegalTime.DayOf(occurredAt);

    private static TransferNotices NoticesOn(RecordDraft draft) => draft.Recipient!.Recipient switch
    {
        null => TransferNotices.UnknownRecipient,
        { Country: { } country } when country != draft.Destination => TransferNotices.RecipientElsewhere,
        _ => TransferNotices.None,
    };

    private TransferFact[] FactsFor(FactsKey key)
    {
        if (_facts.TryGetValue(key, out var shared))
        {
            return shared;
        }

        // What is general on a grown-up is in a class of its own on a child: all of it is sensitive.
        const ulong general = 1UL << (int)DataClass.General;
        var classes = key.Minor && (key.Classes & general) != 0 ? (key.Classes & ~general) | (1UL << (int)DataClass.Minor) : key.Classes;
        var facts = new TransferFact[BitOperations.PopCount(classes)];
        for (var i = 0; i < facts.Length; i++)
        {
            facts[i] = new(key.Lane, key.Exemption, (DataClass)BitOperations.TrailingZeroCount(classes), key.Minor, key.Recipient);
            classes &= classes - 1;
        }

        if (_facts.Count < SharedCapacity)
        {
            _facts.Add(key, facts);
        }

        return facts;
    }

    private TransferCircumstances CircumstancesFor(RecordDraft draft, TransferNotices notices)
    {
        var evidence = draft.Evidence is { Count: > 0 } named
            ? string.Join(';', named.OrderBy(entry => entry.Key, StringComparer.Ordinal).Select(entry => $"{entry.Key}={entry.Value}"))
            : null;
        var circumstances = new TransferCircumstances(
            FieldsOf(draft), draft.Purpose, draft.LegalBasis, draft.Mechanism, draft.Method, draft.System, evidence, notices);
        if (draft is not { Scenario: null, NoticeVersion: null, ConsentVersion: null, SeparateConsent: null })
        {
            circumstances = circumstances with { Paperwork = new(draft.Scenario, draft.NoticeVersion, draft.ConsentVersion, draft.SeparateConsent) };
        }

        if (_circumstances.TryGetValue(circumstances, out var shared))
        {
            return shared;
        }

        if (_circumstances.Count < SharedCapacity)
        {
            _circumstances.Add(circumstances, circumstances);
        }

        return circumstances;
    }

    private string[] FieldsOf(RecordDraft draft)
    {
        draft.Fields.AddRange(draft.Categories);
        var fields = CollectionsMarshal.AsSpan(draft.Fields);
        var lookup = _fieldLists.GetAlternateLookup<ReadOnlySpan<FieldClass>>();
        if (lookup.TryGetValue(fields, out var names))
        {
            return names;
        }

        names = [.. draft.Fields.Select(field => field.Name)];
        if (_fieldLists.Count < SharedCapacity)
        {
            _fieldLists.Add([.. draft.Fields], names);
        }

        return names;
    }

    private RefusalReason Refuse(RefusalReason reason, string property)
    {
        Property = property;
        return reason;
    }

    /// <summary>The first of the missing properties, as it is written.</summary>
    private static string NameOf(RecordProperties missing) => (RecordProperties)((int)missing & -(int)missing) switch
    {
        RecordProperties.SubjectType => "subject.type",
        RecordProperties.SubjectId => "subject.id",
        var property => Words.Of(property),
    };

    private readonly record struct FactsKey(Lane Lane, ExemptionKind Exemption, ulong Classes, bool Minor, string Recipient);

    private readonly record struct ClaimKey(ExemptionKind Kind, string Exporter, string Recipient, Lane Lane, bool Personal);

    /// <summary>Compares shared parts by instance where they are pooled, and the rest by value.</summary>
    private sealed class SameCircumstances : IEqualityComparer<TransferCircumstances>
    {
        public static SameCircumstances Instance { get; } = new();

        public bool Equals(TransferCircumstances? x, TransferCircumstances? y) => x == y;

        public int GetHashCode([DisallowNull] TransferCircumstances obj) => obj.GetHashCode();
    }

    private sealed class SameFields : IEqualityComparer<FieldClass[]>, IAlternateEqualityComparer<ReadOnlySpan<FieldClass>, FieldClass[]>
    {
        public static SameFields Instance { get; } = new();

        public bool Equals(FieldClass[]? x, FieldClass[]? y) => Equals(x.AsSpan(), y ?? []);

        public bool Equals(ReadOnlySpan<FieldClass> alternate, FieldClass[] other)
        {
            if (alternate.Length != other.Length)
            {
                return false;
            }

            for (var i = 0; i < other.Length; i++)
            {
                if (!ReferenceEquals(alternate[i], other[i]))
                {
                    return false;
                }
            }

            return true;
        }

        public int GetHashCode([DisallowNull] FieldClass[] obj) => GetHashCode(obj.AsSpan());

        public int GetHashCode(ReadOnlySpan<FieldClass> alternate)
        {
            var hash = default(HashCode);
            foreach (var field in alternate)
            {
                hash.Add(field);
            }

            return hash.ToHashCode();
        }

        public FieldClass[] Create(ReadOnlySpan<FieldClass> alternate) => alternate.ToArray();
    }
}
