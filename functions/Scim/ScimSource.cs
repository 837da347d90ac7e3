using DingFlow.Intake;
using DingFlow.Messaging;
using DingFlow.Settings;

namespace DingFlow.Scim;

/// <summary>Which attribute is the HR system's number of a person (<c>HrSources:{source}:EmployeeId</c>).</summary>
public enum ScimEmployeeId
{
    /// <summary><c>employeeNumber</c> of the enterprise extension.</summary>
    EmployeeNumber,

    /// <summary><c>externalId</c>, for providers that put the number there. It is shown in logs and cases, so it must not be a name.</summary>
    ExternalId,

    /// <summary>None: people are found by e-mail address or DingTalk user id only.</summary>
    None,
}

/// <summary>A source that speaks SCIM, with its confinement and its pace.</summary>
internal sealed class ScimSource(HrSource source, ScimEmployeeId employeeId, TimeProvider time)
{
    private readonly RateLimiter _limiter = new(source.MaxPerMinute, time);

    /// <summary>The key by which the present request signed in: the name of an API key, or a principal of Entra.</summary>
    public string? Key { get; private set; }

    /// <summary>The source as this request may use it: the pace is shared, the key is the request's own.</summary>
    public ScimSource CalledBy(AuditActor caller)
    {
        var called = (ScimSource)MemberwiseClone();
        called.Key = caller.Key ?? caller.Id;
        return called;
    }

    /// <summary>Its name, in lower case.</summary>
    public string Name => source.Name;

    /// <summary>As <see cref="PersonEvent.Source"/> names it.</summary>
    public string QualifiedName => source.QualifiedName;

    /// <summary>Takes one request's worth. Returns how long to wait, or zero.</summary>
    public TimeSpan Take() => _limiter.Take();

    /// <summary>Whether the person may come from this source.</summary>
    public bool Admits(ScimUser user) => source.Admits(Complete(EmployeeIdOf(user), EmailOf(user), UserIdOf(user), ""));

    /// <summary>
    /// The begun change of a person, with the identifiers under which the person is known so far: providers mangle names as they
    /// disable. What was not known before is taken from the change itself.
    /// </summary>
    public ScimIntent Intend(ScimUser before, ScimUser after, bool active, ReadOnlyMemory<byte> body, bool removes) => new()
    {
        Active = active,
        Removes = removes,
        At = time.GetUtcNow(),
        Key = Key,
        Body = body.ToArray(),
        EmployeeId = EmployeeIdOf(before) ?? EmployeeIdOf(after),
        Email = EmailOf(before) ?? EmailOf(after),
        DingTalkUserId = UserIdOf(before) ?? UserIdOf(after),
    };

    /// <summary>Whether the begun change is about a person whom this source may name.</summary>
    public bool Admits(ScimIntent intent) => source.Admits(Complete(intent.EmployeeId, intent.Email, intent.DingTalkUserId, ""));

    /// <summary>What the inbox takes for a begun change. The same change gives the same delivery.</summary>
    public InboxDelivery Delivery(string id, int transition, ScimIntent intent) => new()
    {
        Source = QualifiedName,
        SenderId = string.Create(System.Globalization.CultureInfo.InvariantCulture, $"scim:{id}:{transition}"),
        EventTime = intent.At,
        Body = intent.Body,
        VerifiedBy = -1,
        VerifiedByKey = intent.Key,
        Events = source.Confine(
        [
            Complete(intent.EmployeeId, intent.Email, intent.DingTalkUserId, id) with
            {
                Kind = intent.Active ? PersonEventKind.Rehired : PersonEventKind.Terminated,
                Immediate = !intent.Active,
                OccurredAt = intent.At,
            },
        ]),
    };

    /// <summary>The identifiers of a provisioned person.</summary>
    public HeldPerson NamesOf(ScimUser user) => new(EmployeeIdOf(user), EmailOf(user), UserIdOf(user));

    private string? EmployeeIdOf(ScimUser user)
    {
        var number = employeeId switch
        {
            ScimEmployeeId.EmployeeNumber => user.EmployeeNumber,
            ScimEmployeeId.ExternalId => user.ExternalId,
            _ => null,
        };
        return PersonFields.IsEmployeeId(number) ? number : null;
    }

    private static string? EmailOf(ScimUser user) => user.Addresses.FirstOrDefault(static address => PersonFields.IsEmail(address));

    private static string? UserIdOf(ScimUser user) => PersonFields.IsUserId(user.DingTalkUserId) ? user.DingTalkUserId : null;

    /// <summary>A person of whom nothing usable is known goes by the id that the provider knows: people must see that there is a leaver.</summary>
    private PersonEvent Complete(string? number, string? email, string? userId, string id) => new()
    {
        Kind = PersonEventKind.Terminated,
        Source = QualifiedName,
        EmployeeId = number ?? (email is null && userId is null ? $"scim:{id}" : null),
        Email = email,
        DingTalkUserId = userId,
    };
}

/// <summary>The sources that speak SCIM.</summary>
internal sealed class ScimSources(ScimOptions options, IntakeOptions intake, TimeProvider time)
{
    private readonly Dictionary<string, ScimSource> _sources = intake.Sources.Values.Where(static source => source.Dialect is ScimDialect)
        .ToDictionary(
            static source => source.Name, source => new ScimSource(source, options.EmployeeIds.GetValueOrDefault(source.Name), time),
            StringComparer.OrdinalIgnoreCase);

    /// <summary>All of them.</summary>
    public IEnumerable<ScimSource> All => _sources.Values;

    /// <summary>The source of that name in any case.</summary>
    public ScimSource? Find(string name) => _sources.GetValueOrDefault(name);
}

/// <summary>Settings of SCIM.</summary>
/// <param name="EmployeeIds">Which attribute is the HR system's number, by source in lower case.</param>
internal sealed record ScimOptions(IReadOnlyDictionary<string, ScimEmployeeId> EmployeeIds)
{
    /// <summary>Reads the settings; what is wrong is added to the faults.</summary>
    public static ScimOptions Read(IConfiguration configuration, SettingsFaults faults)
    {
        var root = new SettingsReader(configuration, "", faults);
        var employeeIds = new Dictionary<string, ScimEmployeeId>(StringComparer.OrdinalIgnoreCase);
        var known = root.Children("HrSources");
        foreach (var name in known)
        {
            var reader = root.Section($"HrSources:{name}");
            if (ScimDialect.DialectName.Equals(configuration[reader.NameOf("Dialect")]?.Trim(), StringComparison.OrdinalIgnoreCase))
            {
                employeeIds[name.ToLowerInvariant()] = reader.Choice("EmployeeId", ScimEmployeeId.EmployeeNumber);
            }
        }

        foreach (var key in root.Children("Auth:ApiKeys"))
        {
            var reader = root.Section($"Auth:ApiKeys:{key}");
            if (reader.List("Sources").FirstOrDefault(source => !known.Contains(source, StringComparer.OrdinalIgnoreCase)) is { } unknown)
            {
                reader.Fault("Sources", $"names {unknown}, which HrSources does not have");
            }
        }

        return new ScimOptions(employeeIds);
    }
}
