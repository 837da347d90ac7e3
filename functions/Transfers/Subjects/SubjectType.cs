using System.Collections.Frozen;
using DingFlow.Settings;

namespace DingFlow.Transfers;

/// <summary>What kind of identifier names a data subject. The tags that are hashed with it (<see cref="SubjectTypes.TagOf"/>) never change.</summary>
public enum SubjectType
{
    /// <summary><c>employeeId</c>: the HR system's number, unique within an exporter.</summary>
    EmployeeId,

    /// <summary><c>dingTalkUserId</c>: unique within a DingTalk organisation.</summary>
    DingTalkUserId,

    /// <summary><c>unionId</c>: DingTalk's id across the organisations of one developer.</summary>
    UnionId,

    /// <summary><c>email</c>.</summary>
    Email,

    /// <summary><c>mobile</c>: a telephone number with its country, E.164.</summary>
    Mobile,

    /// <summary><c>idCard</c>: the mainland's citizen identity number (GB 11643).</summary>
    IdCard,

    /// <summary><c>passport</c>: with the issuing country as scope.</summary>
    Passport,

    /// <summary><c>hongKongIdCard</c>.</summary>
    HongKongIdCard,

    /// <summary><c>macauIdCard</c>.</summary>
    MacauIdCard,

    /// <summary><c>customerId</c>: a customer number, unique within an exporter.</summary>
    CustomerId,

    /// <summary><c>entraObjectId</c>: a GUID.</summary>
    EntraObjectId,

    /// <summary><c>opaque</c>: any other identifier, unique within an exporter, compared exactly; for instance a pseudonym of the sender's.</summary>
    Opaque,
}

/// <summary>The words and tags of <see cref="SubjectType"/>.</summary>
public static class SubjectTypes
{
    private static readonly string[] Names = [.. Enum.GetValues<SubjectType>().Select(Words.Of)];

    private static readonly FrozenDictionary<string, SubjectType> ByWord = Names.Select((word, number) => (word, (SubjectType)number))
        .Append(("userId", SubjectType.DingTalkUserId))
        .Append(("jobNumber", SubjectType.EmployeeId))
        .ToFrozenDictionary(entry => entry.Item1, entry => entry.Item2, StringComparer.OrdinalIgnoreCase);

    /// <summary>The type of a word in a record, in any case. <c>jobNumber</c> is an <c>employeeId</c>, <c>userId</c> a <c>dingTalkUserId</c>.</summary>
    public static bool TryParse(ReadOnlySpan<char> word, out SubjectType type) =>
        ByWord.GetAlternateLookup<ReadOnlySpan<char>>().TryGetValue(word, out type);

    /// <summary>The word in a record.</summary>
    public static string WordOf(SubjectType type) => Names[(int)type];

    /// <summary>What is hashed in front of the identifier, so that a number of one kind never equals one of another.</summary>
    public static ReadOnlySpan<byte> TagOf(SubjectType type) => type switch
    {
        SubjectType.EmployeeId => "employee"u8,
        SubjectType.DingTalkUserId => "dingtalk-user"u8,
        SubjectType.UnionId => "dingtalk-union"u8,
        SubjectType.Email => "email"u8,
        SubjectType.Mobile => "mobile"u8,
        SubjectType.IdCard => "id-cn"u8,
        SubjectType.Passport => "passport"u8,
        SubjectType.HongKongIdCard => "id-hk"u8,
        SubjectType.MacauIdCard => "id-mo"u8,
        SubjectType.CustomerId => "customer"u8,
        SubjectType.EntraObjectId => "entra-object"u8,
        _ => "opaque"u8,
    };

    /// <summary>The scope of an identifier that names none, as an exporter means it; empty where its type needs none or must name it.</summary>
    public static string DefaultScope(SubjectType type, Exporter exporter)
    {
        ArgumentNullException.ThrowIfNull(exporter);
        return ScopeOf(type) switch
        {
            SubjectScope.Exporter => exporter.Id,
            SubjectScope.DingTalkCorp => exporter.CorpId ?? "",
            _ => "",
        };
    }

    /// <summary>What the identifier is unique within: the exporter, a DingTalk organisation, the issuing country, or the world.</summary>
    public static SubjectScope ScopeOf(SubjectType type) => type switch
    {
        SubjectType.EmployeeId or SubjectType.CustomerId or SubjectType.Opaque => SubjectScope.Exporter,
        SubjectType.DingTalkUserId => SubjectScope.DingTalkCorp,
        SubjectType.Passport => SubjectScope.IssuingCountry,
        _ => SubjectScope.World,
    };
}

/// <summary>What an identifier is unique within.</summary>
public enum SubjectScope
{
    /// <summary>Everywhere.</summary>
    World,

    /// <summary>The exporter, unless the record names another issuer.</summary>
    Exporter,

    /// <summary>A DingTalk organisation, by its corp id.</summary>
    DingTalkCorp,

    /// <summary>The country that issued the document.</summary>
    IssuingCountry,
}
