using System.Buffers;
using System.Globalization;
using System.Text;

namespace DingFlow.Transfers;

/// <summary>
/// The canonical form of an identifier: the spellings of one identifier give the same bytes, so that nobody is counted twice for a
/// hyphen. The form is <c>tag LF scope LF identifier</c> in UTF-8. It is hashed, never stored; it must never change (test vectors).
/// </summary>
/// <remarks>
/// Full-width characters become ASCII, surrounding blanks and invisible characters (such as a zero-width space that was copied along) go.
/// Text beyond ASCII is expected in normalisation form C, as HR systems send it; what is surely not in that form is refused, since the same
/// letters would be another person. Where two readings are possible the identifier is refused rather than guessed.
/// </remarks>
public static class CanonicalSubject
{
    /// <summary>Characters of the longest identifier or scope.</summary>
    public const int LongestIdentifier = 320;

    /// <summary>Enough bytes for every canonical form.</summary>
    public const int MaximumBytes = 32 + (2 * 3 * LongestIdentifier);

    private const int CountryCodeDigits = 3;

    private static readonly SearchValues<char> NotInAddresses = SearchValues.Create(" @<>,;");

    /// <summary>Writes the canonical form.</summary>
    /// <param name="type">The kind of identifier.</param>
    /// <param name="identifier">The identifier as sent.</param>
    /// <param name="scope">What it is unique within; empty for kinds that need none.</param>
    /// <param name="destination">At least <see cref="MaximumBytes"/>.</param>
    /// <param name="written">How many bytes were written; 0 when refused.</param>
    /// <returns>The identifier is well formed.</returns>
    public static bool TryWrite(
        SubjectType type, ReadOnlySpan<char> identifier, ReadOnlySpan<char> scope, Span<byte> destination, out int written)
    {
        written = 0;
        if (identifier.Length > LongestIdentifier || scope.Length > LongestIdentifier)
        {
            return false;
        }

        Span<char> clean = stackalloc char[LongestIdentifier];
        Span<char> canonical = stackalloc char[LongestIdentifier + CountryCodeDigits];
        if (!TryClean(identifier, clean, out var cleanLength))
        {
            return false;
        }

        var length = Canonicalise(type, clean[..cleanLength], canonical);
        Span<char> place = stackalloc char[LongestIdentifier];
        var placeLength = 0;
        if (length == 0 || !TryScope(type, scope, place, out placeLength))
        {
            return false;
        }

        var tag = SubjectTypes.TagOf(type);
        tag.CopyTo(destination);
        written = tag.Length;
        destination[written++] = (byte)'\n';
        written += Encoding.UTF8.GetBytes(place[..placeLength], destination[written..]);
        destination[written++] = (byte)'\n';
        written += Encoding.UTF8.GetBytes(canonical[..length], destination[written..]);
        return true;
    }

    /// <summary>What stands before the identifier in the canonical form, for a scope that <see cref="TryWrite"/> takes.</summary>
    internal static byte[] Prefix(SubjectType type, ReadOnlySpan<char> scope)
    {
        Span<char> place = stackalloc char[LongestIdentifier];
        return TryScope(type, scope, place, out var length)
            ? [.. SubjectTypes.TagOf(type), (byte)'\n', .. Encoding.UTF8.GetBytes(place[..length].ToArray()), (byte)'\n']
            : throw new ArgumentException("The scope is malformed.", nameof(scope));
    }

    /// <summary>Writes what follows <see cref="Prefix"/>, for an identifier of printable ASCII characters.</summary>
    /// <returns>The identifier is well formed.</returns>
    internal static bool TryWriteIdentifier(SubjectType type, ReadOnlySpan<byte> identifier, Span<byte> destination, out int written)
    {
        var clean = identifier.Trim((byte)' ');
        written = clean.Length;
        if (clean.IsEmpty || identifier.Length > LongestIdentifier)
        {
            return false;
        }

        switch (type)
        {
            case SubjectType.EmployeeId:
                return Ascii.ToUpper(clean, destination, out _) == OperationStatus.Done;
            case SubjectType.DingTalkUserId or SubjectType.UnionId or SubjectType.CustomerId or SubjectType.Opaque:
                clean.CopyTo(destination);
                return true;
            default:
                Span<char> text = stackalloc char[LongestIdentifier];
                Span<char> canonical = stackalloc char[LongestIdentifier + CountryCodeDigits];
                var length = Canonicalise(type, text[..Encoding.ASCII.GetChars(clean, text)], canonical);
                written = Encoding.UTF8.GetBytes(canonical[..length], destination);
                return length > 0;
        }
    }

    /// <summary>The date of birth that a mainland identity number tells; <see langword="null"/> for other kinds and malformed numbers.</summary>
    public static DateOnly? BirthDate(SubjectType type, ReadOnlySpan<char> identifier)
    {
        if (type != SubjectType.IdCard || identifier.Length > LongestIdentifier)
        {
            return null;
        }

        Span<char> clean = stackalloc char[LongestIdentifier];
        Span<char> canonical = stackalloc char[LongestIdentifier];
        return TryClean(identifier, clean, out var length) && IdCard(clean[..length], canonical) > 0 ? BirthDate(canonical) : null;
    }

    private static int Canonicalise(SubjectType type, ReadOnlySpan<char> clean, Span<char> canonical) => type switch
    {
        SubjectType.EmployeeId => clean.ToUpperInvariant(canonical),
        SubjectType.Email => Email(clean, canonical),
        SubjectType.Mobile => Mobile(clean, canonical),
        SubjectType.IdCard => IdCard(clean, canonical),
        SubjectType.Passport => Document(clean, canonical, 5, 20),
        SubjectType.HongKongIdCard => HongKongIdCard(clean, canonical),
        SubjectType.MacauIdCard => MacauIdCard(clean, canonical),
        SubjectType.EntraObjectId => ObjectId(clean, canonical),
        _ => Copy(clean, canonical),
    };

    private static int Copy(ReadOnlySpan<char> text, Span<char> canonical)
    {
        text.CopyTo(canonical);
        return text.Length;
    }

    /// <summary>Full width to ASCII, no surrounding blanks, no control characters, no half of a surrogate pair.</summary>
    private static bool TryClean(ReadOnlySpan<char> text, Span<char> clean, out int length)
    {
        length = 0;
        for (var i = 0; i < text.Length; i++)
        {
            var character = text[i] switch
            {
                >= '\uFF01' and <= '\uFF5E' => (char)(text[i] - 0xFEE0),
                '\u3000' or '\u00A0' => ' ',
                var other => other,
            };
            if (char.IsControl(character) || (char.IsSurrogate(character) && !IsWholePair(text, i)) || IsDecomposed(character))
            {
                return false;
            }

            if (char.IsAscii(character) || char.GetUnicodeCategory(character) != UnicodeCategory.Format)
            {
                clean[length++] = character;
            }
        }

        var trimmed = clean[..length].Trim(' ');
        trimmed.CopyTo(clean);
        length = trimmed.Length;
        return length > 0;
    }

    /// <summary>
    /// Normalisation form C has another character in place of this one, alone or with its neighbour: combining marks of the alphabets, the voiced marks
    /// of kana, parts of Hangul syllables, compatibility ideographs but for the twelve that stand for themselves. (The program runs without the
    /// tables by which it could compose them itself.)
    /// </summary>
    private static bool IsDecomposed(char character) => character switch
    {
        < '\u0300' => false,
        <= '\u036F' or (>= '\u1100' and <= '\u11FF') or '\u3099' or '\u309A' => true,
        >= '\uF900' and <= '\uFAFF' => !"\uFA0E\uFA0F\uFA11\uFA13\uFA14\uFA1F\uFA21\uFA23\uFA24\uFA27\uFA28\uFA29".Contains(character),
        _ => false,
    };

    private static bool IsWholePair(ReadOnlySpan<char> text, int i) => char.IsHighSurrogate(text[i])
        ? i + 1 < text.Length && char.IsLowSurrogate(text[i + 1])
        : i > 0 && char.IsHighSurrogate(text[i - 1]);

    private static bool TryScope(SubjectType type, ReadOnlySpan<char> scope, Span<char> place, out int length)
    {
        length = 0;
        switch (SubjectTypes.ScopeOf(type))
        {
            case SubjectScope.World:
                return true;
            case SubjectScope.IssuingCountry:
                if (!Country.TryParse(scope.Trim(), out var country))
                {
                    return false;
                }

                length = Copy(country.ToString(), place);
                return true;
            case SubjectScope.Exporter:
                if (!TryClean(scope, place, out length))
                {
                    return false;
                }

                // Ids of exporters are the settings' names, which know no case.
                for (var i = 0; i < length; i++)
                {
                    place[i] = char.ToLowerInvariant(place[i]);
                }

                return true;
            default:
                return TryClean(scope, place, out length);
        }
    }

    /// <summary>Lower case; the domain in ASCII (RFC 5891) without a final dot.</summary>
    private static int Email(ReadOnlySpan<char> text, Span<char> canonical)
    {
        const int longestLocalPart = 64;
        const int longestDomain = 253;
        var at = text.LastIndexOf('@');
        var domain = at < 0 ? [] : text[(at + 1)..].TrimEnd('.');
        if (at is < 1 or > longestLocalPart || domain.Length is 0 or > longestDomain
            || text[..at].ContainsAny(NotInAddresses) || domain.ContainsAny(NotInAddresses))
        {
            return 0;
        }

        var length = text[..at].ToLowerInvariant(canonical);
        canonical[length++] = '@';
        if (!Ascii.IsValid(domain))
        {
            try
            {
                // Lower case first: without tables of its own the program's mapping leaves capital letters as they are.
                domain = new IdnMapping { UseStd3AsciiRules = true }.GetAscii(domain.ToString().ToLowerInvariant());
            }
            catch (ArgumentException)
            {
                return 0;
            }
        }

        return domain.Length <= longestDomain ? length + domain.ToLowerInvariant(canonical[length..]) : 0;
    }

    /// <summary>
    /// E.164. Without a country only a mainland mobile number is unmistakable (eleven digits from 13 to 19); anything else must carry
    /// <c>+</c> or <c>00</c>: eight digits may be of Macau or of Hong Kong.
    /// </summary>
    private static int Mobile(ReadOnlySpan<char> text, Span<char> canonical)
    {
        const int shortest = 8;
        const int longest = 15;
        const int mainland = 11;
        Span<char> digits = stackalloc char[32];
        var count = 0;
        var international = text[0] == '+';
        foreach (var character in international ? text[1..] : text)
        {
            if (char.IsAsciiDigit(character) && count < digits.Length)
            {
                digits[count++] = character;
            }
            else if (character is not (' ' or '-' or '(' or ')' or '.' or '/'))
            {
                return 0;
            }
        }

        ReadOnlySpan<char> number = digits[..count];
        if (!international && number.StartsWith("00"))
        {
            international = true;
            number = number[2..];
        }

        if (!international)
        {
            if (IsMainlandMobile(number))
            {
                canonical[0] = '+';
                canonical[1] = '8';
                canonical[2] = '6';
                number.CopyTo(canonical[3..]);
                return mainland + 3;
            }

            // 86 and a mainland number, as some systems store it.
            if (!number.StartsWith("86") || !IsMainlandMobile(number[2..]))
            {
                return 0;
            }
        }

        if (number.Length is < shortest or > longest || number[0] == '0')
        {
            return 0;
        }

        canonical[0] = '+';
        number.CopyTo(canonical[1..]);
        return number.Length + 1;
    }

    private static bool IsMainlandMobile(ReadOnlySpan<char> number) =>
        number.Length == 11 && number[0] == '1' && number[1] is >= '3' and <= '9';

    /// <summary>18 characters with a right check character; the 15 digits of before 1999 are brought into that form.</summary>
    private static int IdCard(ReadOnlySpan<char> text, Span<char> canonical)
    {
        const int length = 18;
        switch (text.Length)
        {
            case length:
                text.ToUpperInvariant(canonical);
                break;
            case 15:
                text[..6].CopyTo(canonical);
                "19".CopyTo(canonical[6..]);
                text[6..].CopyTo(canonical[8..]);
                canonical[17] = Ascii.IsValid(text) && !text.ContainsAnyExceptInRange('0', '9') ? CheckCharacter(canonical) : '?';
                break;
            default:
                return 0;
        }

        return !canonical[..17].ContainsAnyExceptInRange('0', '9') && canonical[17] == CheckCharacter(canonical)
            && BirthDate(canonical) is not null
            ? length
            : 0;
    }

    /// <summary>ISO 7064 MOD 11-2 over the first 17 digits.</summary>
    private static char CheckCharacter(ReadOnlySpan<char> digits)
    {
        var sum = 0;
        for (var i = 0; i < 17; i++)
        {
            sum = ((sum + (digits[i] - '0')) * 2) % 11;
        }

        return "10X98765432"[sum];
    }

    private static DateOnly? BirthDate(ReadOnlySpan<char> idCard) =>
        DateOnly.TryParseExact(idCard.Slice(6, 8), "yyyyMMdd", CultureInfo.InvariantCulture, DateTimeStyles.None, out var date) ? date : null;

    /// <summary>Capital letters and digits only.</summary>
    private static int Document(ReadOnlySpan<char> text, Span<char> canonical, int shortest, int longest)
    {
        var length = 0;
        foreach (var character in text)
        {
            if (char.IsAsciiLetterOrDigit(character))
            {
                canonical[length++] = char.ToUpperInvariant(character);
            }
            else if (character is not (' ' or '-' or '(' or ')' or '/'))
            {
                return 0;
            }
        }

        return length >= shortest && length <= longest ? length : 0;
    }

    /// <summary>One or two letters, six digits, a check character modulo 11.</summary>
    private static int HongKongIdCard(ReadOnlySpan<char> text, Span<char> canonical)
    {
        var length = Document(text, canonical, 8, 9);
        var letters = length - 7;
        if (length == 0 || canonical[..letters].ContainsAnyExceptInRange('A', 'Z')
            || canonical[letters..(length - 1)].ContainsAnyExceptInRange('0', '9'))
        {
            return 0;
        }

        // A single letter is preceded by a blank, which has the value 36.
        var sum = letters == 1 ? 9 * 36 : 0;
        for (var i = 0; i < length - 1; i++)
        {
            sum += (length - i) * (i < letters ? canonical[i] - 'A' + 10 : canonical[i] - '0');
        }

        var check = (11 - (sum % 11)) % 11;
        return canonical[length - 1] == (check == 10 ? 'A' : (char)('0' + check)) ? length : 0;
    }

    /// <summary>Eight digits, written 1234567(8); the way of the check digit is not public.</summary>
    private static int MacauIdCard(ReadOnlySpan<char> text, Span<char> canonical)
    {
        var length = Document(text, canonical, 8, 8);
        return length == 8 && !canonical[..8].ContainsAnyExceptInRange('0', '9') && canonical[0] is '1' or '5' or '7' ? length : 0;
    }

    private static int ObjectId(ReadOnlySpan<char> text, Span<char> canonical) =>
        Guid.TryParse(text, out var id) && id.TryFormat(canonical, out var length) ? length : 0;
}
