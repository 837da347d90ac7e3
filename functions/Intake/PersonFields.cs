using System.Buffers;
using System.Globalization;
using System.Text.Json;

namespace DingFlow.Intake;

/// <summary>
/// The rules for the fields of an event about a person, shared by all dialects. Rules are strict where a value goes on to a log, a key
/// or another system.
/// </summary>
public static class PersonFields
{
    private const int MaxEmployeeIdLength = 64;
    private const int MaxUserIdLength = 64;
    private const int MaxEmailLength = 254;
    private const int MaxEmailLocalLength = 64;
    private const int MaxDomainLabelLength = 63;
    private const int MaxReasonLength = 500;

    /// <summary>No '@': the employee id may be shown, so that it must not be an e-mail address.</summary>
    private static readonly SearchValues<char> EmployeeIdCharacters =
        SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.:/");

    private static readonly SearchValues<char> UserIdCharacters =
        SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.@");

    private static readonly SearchValues<char> EmailLocalCharacters =
        SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.!#$%&'*+-/=?^_`{|}~");

    /// <summary>What is asked of an employee id.</summary>
    public const string EmployeeIdRule = "must be 1 to 64 letters, digits or '-', '_', '.', ':', '/'";

    /// <summary>What is asked of a DingTalk user id.</summary>
    public const string UserIdRule = "must be 1 to 64 letters, digits or '-', '_', '.', '@'";

    /// <summary>What is asked of an e-mail address.</summary>
    public const string EmailRule = "must be an e-mail address of at most 254 characters";

    /// <summary>What is asked of a time.</summary>
    public const string TimeRule = "must be an RFC 3339 time with seconds and offset, between 2000 and 2200";

    /// <summary>What is asked of a reason.</summary>
    public const string ReasonRule = "must be a text of at most 500 characters without control characters";

    /// <summary>Whether a text can be an employee id.</summary>
    public static bool IsEmployeeId(ReadOnlySpan<char> text) =>
        text.Length is > 0 and <= MaxEmployeeIdLength && !text.ContainsAnyExcept(EmployeeIdCharacters);

    /// <summary>Whether a text can be a DingTalk user id.</summary>
    public static bool IsUserId(ReadOnlySpan<char> text) =>
        text.Length is > 0 and <= MaxUserIdLength && !text.ContainsAnyExcept(UserIdCharacters);

    /// <summary>Whether a text has the form of a plain e-mail address: a local part, an <c>@</c> and a domain of at least two labels.</summary>
    public static bool IsEmail(ReadOnlySpan<char> text)
    {
        var at = text.IndexOf('@');
        if (text.Length > MaxEmailLength || at is <= 0 or > MaxEmailLocalLength || text[..at].ContainsAnyExcept(EmailLocalCharacters))
        {
            return false;
        }

        var labels = 0;
        var domain = text[(at + 1)..];
        foreach (var range in domain.Split('.'))
        {
            var label = domain[range];
            if (label.Length is 0 or > MaxDomainLabelLength || label[0] == '-' || label[^1] == '-')
            {
                return false;
            }

            foreach (var character in label)
            {
                if (!char.IsLetterOrDigit(character) && character != '-')
                {
                    return false;
                }
            }

            labels++;
        }

        return labels > 1;
    }

    /// <summary>Whether a text can be kept as a reason.</summary>
    public static bool IsReason(ReadOnlySpan<char> text)
    {
        foreach (var character in text)
        {
            if (char.IsControl(character))
            {
                return false;
            }
        }

        return text.Length <= MaxReasonLength;
    }

    /// <summary>Reads an RFC 3339 time; one without an offset is none, since nobody could say which moment it means.</summary>
    public static bool TryReadTime(ReadOnlySpan<char> text, out DateTimeOffset time)
    {
        time = default;
        return HasTimeForm(text)
            && DateTimeOffset.TryParse(text, CultureInfo.InvariantCulture, DateTimeStyles.None, out time)
            && time.Year is >= 2000 and <= 2200;
    }

    /// <summary><c>yyyy-MM-ddTHH:mm:ss</c>, up to nine digits of a fraction, <c>Z</c> or an offset.</summary>
    private static bool HasTimeForm(ReadOnlySpan<char> text)
    {
        const string Form = "0000-00-00T00:00:00";
        const string OffsetForm = "00:00";
        if (text.Length <= Form.Length || !Matches(text[..Form.Length], Form))
        {
            return false;
        }

        var rest = text[Form.Length..];
        if (rest[0] == '.')
        {
            var digits = rest[1..].IndexOfAnyExceptInRange('0', '9');
            if (digits is < 1 or > 9)
            {
                return false;
            }

            rest = rest[(1 + digits)..];
        }

        return rest is "Z" || (rest.Length == 1 + OffsetForm.Length && (rest[0] is '+' or '-') && Matches(rest[1..], OffsetForm));
    }

    /// <summary>Whether a text has digits where the form has zeros and the form's characters elsewhere.</summary>
    private static bool Matches(ReadOnlySpan<char> text, string form)
    {
        for (var i = 0; i < form.Length; i++)
        {
            if (form[i] == '0' ? !char.IsAsciiDigit(text[i]) : text[i] != form[i])
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>The text of a JSON string, or <see langword="null"/> when it is none, or holds half of a surrogate pair.</summary>
    internal static string? TextOf(JsonElement element)
    {
        if (element.ValueKind != JsonValueKind.String)
        {
            return null;
        }

        try
        {
            return element.GetString();
        }
        catch (InvalidOperationException)
        {
            return null;
        }
    }
}
