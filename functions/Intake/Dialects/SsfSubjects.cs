using System.Text.Json;
using DingFlow.Messaging;

namespace DingFlow.Intake.Dialects;

/// <summary>Who a subject of Shared Signals is: RFC 9493, and the complex subjects of SSF 1.0 section 3.3.</summary>
internal static class SsfSubjects
{
    private const int MaxAliases = 20;

    /// <summary>
    /// Members of a complex subject beside <c>user</c> that say where the person belongs. Any other narrows the event to one device,
    /// session or application, which is then not about the person's account as a whole.
    /// </summary>
    private static readonly string[] Belongings = ["format", "user", "tenant", "org_unit", "group"];

    /// <summary>The person's identifiers, or <see langword="null"/> when there are none that lead to somebody here.</summary>
    /// <param name="subject">The subject.</param>
    /// <param name="meaning">What the transmitter's own identifiers are.</param>
    /// <param name="issuer">Whose identifiers those are.</param>
    /// <param name="narrow">An event about one session or device may be taken for the whole person.</param>
    public static PersonEvent? Find(JsonElement subject, SsfSubject meaning, string issuer, bool narrow)
    {
        // "subject_type" was the name before RFC 9493.
        var format = subject.Text("format") ?? subject.Text("subject_type");
        if (format is null or "complex")
        {
            var isWhole = narrow || subject.EnumerateObject().All(static member => Belongings.Contains(member.Name));
            return isWhole && subject.Find("user") is { ValueKind: JsonValueKind.Object } user ? FindSimple(user, meaning, issuer) : null;
        }

        return FindSimple(subject, meaning, issuer);
    }

    private static PersonEvent? FindSimple(JsonElement subject, SsfSubject meaning, string issuer)
    {
        switch (subject.Text("format") ?? subject.Text("subject_type"))
        {
            case "email":
                return Person(SsfSubject.Email, subject.Text("email"));
            case "iss_sub" or "iss-sub":
                return subject.Text("iss") == issuer ? Person(meaning, subject.Text("sub")) : null;
            case "opaque":
                return Person(meaning, subject.Text("id"));
            case "aliases" when subject.Find("identifiers") is { ValueKind: JsonValueKind.Array } aliases && aliases.GetArrayLength() <= MaxAliases:
                PersonEvent? all = null;
                foreach (var alias in aliases.EnumerateArray())
                {
                    // RFC 9493 section 3.2.8: aliases are not nested.
                    if (alias.Text("format") is not (null or "aliases") && FindSimple(alias, meaning, issuer) is { } one)
                    {
                        all = all is null ? one : all with
                        {
                            EmployeeId = all.EmployeeId ?? one.EmployeeId,
                            Email = all.Email ?? one.Email,
                            DingTalkUserId = all.DingTalkUserId ?? one.DingTalkUserId,
                        };
                    }
                }

                return all;
            default:
                return null;
        }
    }

    private static PersonEvent? Person(SsfSubject meaning, string? text)
    {
        var person = new PersonEvent { Kind = PersonEventKind.AccountDisabled, Source = "" };
        return meaning switch
        {
            SsfSubject.EmployeeId when PersonFields.IsEmployeeId(text) => person with { EmployeeId = text },
            SsfSubject.Email when PersonFields.IsEmail(text) => person with { Email = text },
            SsfSubject.DingTalkUserId when PersonFields.IsUserId(text) => person with { DingTalkUserId = text },
            _ => null,
        };
    }
}

/// <summary>The compact form of a signed token (RFC 7515 section 7.1), as bytes.</summary>
internal static class SetToken
{
    /// <summary>The decoded payload; <see langword="null"/> when the bytes are not three parts of base64url.</summary>
    public static ReadOnlyMemory<byte>? PayloadOf(ReadOnlyMemory<byte> token)
    {
        var span = token.Span;
        var first = span.IndexOf((byte)'.');
        var last = span.LastIndexOf((byte)'.');
        if (first <= 0 || last <= first || span[(first + 1)..last].Contains((byte)'.'))
        {
            return null;
        }

        var encoded = span[(first + 1)..last];
        if (!System.Buffers.Text.Base64Url.IsValid(encoded, out var length))
        {
            return null;
        }

        var payload = new byte[length];
        System.Buffers.Text.Base64Url.DecodeFromUtf8(encoded, payload);
        return payload;
    }
}
