namespace DingFlow.Transfers;

/// <summary>
/// A country or territory by its ISO 3166-1 alpha-2 code. <c>CN</c> is the mainland only: <c>HK</c>, <c>MO</c> and <c>TW</c> are
/// places of their own, because law on data exports treats them as abroad. <c>EU</c> (reserved in ISO 3166) stands for an
/// unnamed member of the European Economic Area. Two bytes, so that a million records cost no strings.
/// </summary>
public readonly record struct Country : IComparable<Country>
{
    private const int Letters = 26;

    private const string Codes =
        "ADAEAFAGAIALAMAOAQARASATAUAWAXAZBABBBDBEBFBGBHBIBJBLBMBNBOBQBRBSBTBVBWBYBZCACCCDCFCGCHCICKCLCMCNCOCRCUCVCWCXCYCZ"
        + "DEDJDKDMDODZECEEEGEHERESETEUFIFJFKFMFOFRGAGBGDGEGFGGGHGIGLGMGNGPGQGRGSGTGUGWGYHKHMHNHRHTHUIDIEILIMINIOIQIRISIT"
        + "JEJMJOJPKEKGKHKIKMKNKPKRKWKYKZLALBLCLILKLRLSLTLULVLYMAMCMDMEMFMGMHMKMLMMMNMOMPMQMRMSMTMUMVMWMXMYMZNANCNENFNGNINLNO"
        + "NPNRNUNZOMPAPEPFPGPHPKPLPMPNPRPSPTPWPYQARERORSRURWSASBSCSDSESGSHSISJSKSLSMSNSOSRSSSTSVSXSYSZTCTDTFTGTHTJTKTLTMTN"
        + "TOTRTTTVTWTZUAUGUMUSUYUZVAVCVEVGVIVNVUWFWSYEYTZAZMZW";

    /// <summary>The text of every known code at its number; <see langword="null"/> where there is no such code.</summary>
    private static readonly string?[] Texts = TextsOf(Codes);

    private readonly ushort _number;

    private Country(ushort number) => _number = number;

    /// <summary>The number of the code, for compact storage: 0 is no country, otherwise 1 + 26 × first letter + second letter.</summary>
    public ushort Number => _number;

    /// <summary>The country of a stored <see cref="Number"/>.</summary>
    /// <exception cref="ArgumentOutOfRangeException">There is no such code.</exception>
    public static Country FromNumber(ushort number) => number > 0 && number < Texts.Length && Texts[number] is not null
        ? new(number)
        : throw new ArgumentOutOfRangeException(nameof(number), number, "No country has this number.");

    /// <summary>Reads a two-letter code, in any case.</summary>
    public static bool TryParse(ReadOnlySpan<char> text, out Country country)
    {
        country = default;
        return text.Length == 2 && TryRead(text[0], text[1], out country);
    }

    /// <summary>Reads a two-letter code in UTF-8, in any case.</summary>
    public static bool TryParse(ReadOnlySpan<byte> text, out Country country)
    {
        country = default;
        return text.Length == 2 && TryRead((char)text[0], (char)text[1], out country);
    }

    /// <summary>Reads a two-letter code, in any case.</summary>
    /// <exception cref="FormatException">It is no known code.</exception>
    public static Country Parse(string text) =>
        TryParse(text, out var country) ? country : throw new FormatException("Not an ISO 3166-1 alpha-2 code.");

    /// <summary>The two capital letters; empty for no country.</summary>
    public override string ToString() => Texts[_number] ?? "";

    /// <inheritdoc/>
    public int CompareTo(Country other) => _number.CompareTo(other._number);

    /// <summary>By alphabet.</summary>
    public static bool operator <(Country left, Country right) => left._number < right._number;

    /// <summary>By alphabet.</summary>
    public static bool operator >(Country left, Country right) => left._number > right._number;

    /// <summary>By alphabet.</summary>
    public static bool operator <=(Country left, Country right) => left._number <= right._number;

    /// <summary>By alphabet.</summary>
    public static bool operator >=(Country left, Country right) => left._number >= right._number;

    private static bool TryRead(char first, char second, out Country country)
    {
        var (a, b) = ((first | 0x20) - 'a', (second | 0x20) - 'a');
        if ((uint)a < Letters && (uint)b < Letters && Texts[NumberOf(a, b)] is not null)
        {
            country = new((ushort)NumberOf(a, b));
            return true;
        }

        country = default;
        return false;
    }

    private static int NumberOf(int first, int second) => 1 + (first * Letters) + second;

    private static string?[] TextsOf(string codes)
    {
        var texts = new string?[1 + (Letters * Letters)];
        for (var i = 0; i < codes.Length; i += 2)
        {
            texts[NumberOf(codes[i] - 'A', codes[i + 1] - 'A')] = codes.Substring(i, 2);
        }

        return texts;
    }
}
