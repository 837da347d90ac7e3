using System.Collections.Frozen;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace DingFlow.Transfers;

/// <summary>Which guide decides what is sensitive (<c>Transfers:Profile</c>).</summary>
public enum ClassificationProfile
{
    /// <summary>What any guide or the harm test of PIPL article 28 may call sensitive; the default.</summary>
    Conservative,

    /// <summary>GB/T 45574-2025.</summary>
    Gbt45574,
}

/// <summary>What a field of a record holds.</summary>
public sealed class FieldClass
{
    internal FieldClass(string name, DataClass? dataClass, TransferNotices notice, string mark, IReadOnlyList<string> regimes) =>
        (Name, Class, Notice, Mark, Regimes) = (name, dataClass, notice, mark, regimes);

    /// <summary>Its name: as the data file spells it, or as it was sent.</summary>
    public string Name { get; }

    /// <summary>Its class; <see langword="null"/> when it is not personal.</summary>
    public DataClass? Class { get; }

    /// <summary><see cref="TransferNotices.UnknownField"/>, <see cref="TransferNotices.ContextField"/> or nothing.</summary>
    public TransferNotices Notice { get; }

    /// <summary>How well founded the classification is, as the data file says: C confirmed, P partly, M from memory, I inference.</summary>
    public string Mark { get; }

    /// <summary>Other laws with a list of their own that name it: <c>gdpr9</c>, <c>gdpr10</c>, <c>macau7</c>.</summary>
    public IReadOnlyList<string> Regimes { get; }

    /// <inheritdoc/>
    public override string ToString() => Name;
}

/// <summary>
/// Says what a field holds by its name, from <c>Classification/classification.json</c> and the company's own map. Names match in any
/// case and with or without <c>-</c>, <c>_</c> and spaces. An unknown field is never taken for harmless: it is
/// <see cref="DataClass.Undetermined"/>, which every profile counts as sensitive, and is reported. Immutable.
/// </summary>
public sealed class FieldClassifier
{
    private const string Path = "Transfers/Classification/classification.json";
    private const int LongestName = 128;

    private readonly FrozenDictionary<string, FieldClass>.AlternateLookup<ReadOnlySpan<char>> _byName;

    private FieldClassifier(ClassificationProfile profile, ulong sensitiveClasses, FrozenDictionary<string, FieldClass> byName, string fingerprint)
    {
        Profile = profile;
        SensitiveClasses = sensitiveClasses;
        Fingerprint = fingerprint;
        _byName = byName.GetAlternateLookup<ReadOnlySpan<char>>();
    }

    /// <summary>The active profile.</summary>
    public ClassificationProfile Profile { get; }

    /// <summary>The classes that the profile calls sensitive, a bit per number.</summary>
    public ulong SensitiveClasses { get; }

    /// <summary>A digest of data, profile and map, for filings: 16 hexadecimal digits.</summary>
    public string Fingerprint { get; }

    /// <summary>The profile calls the class sensitive.</summary>
    public bool IsSensitive(DataClass dataClass) => (SensitiveClasses >> (int)dataClass & 1) != 0;

    /// <summary>
    /// Reads the data that the program carries and adds the company's map (<c>Transfers:FieldMap:{name}</c>): each value is a class
    /// (<c>finance</c>), <c>notPersonal</c>, or a field that is known. A field that the data classify for certain cannot be mapped
    /// to something else: that would hide what the law names.
    /// </summary>
    /// <param name="profile">The active profile.</param>
    /// <param name="fieldMap">Own names, and what they hold.</param>
    /// <param name="fault">Is told the field and what is wrong with its entry.</param>
    /// <exception cref="InvalidDataException">The data are malformed: the program was built wrongly.</exception>
    public static FieldClassifier Load(
        ClassificationProfile profile, IReadOnlyDictionary<string, string> fieldMap, Action<string, string> fault)
    {
        using var document = DataFile.Open(Path);
        var root = document.RootElement;
        var column = ColumnOf(profile);
        var sensitive = SensitiveIn(root, column);
        var byName = new Dictionary<string, FieldClass>(1024, StringComparer.Ordinal);
        foreach (var row in root.Items("fields"))
        {
            AddRow(row, column, byName);
        }

        AddMap(fieldMap, byName, fault);
        return new(profile, sensitive, byName.ToFrozenDictionary(StringComparer.Ordinal), FingerprintOf(root, column, fieldMap));
    }

    /// <summary>Says what a field holds. Allocates only for names that are unknown.</summary>
    public FieldClass Classify(ReadOnlySpan<char> name)
    {
        Span<char> key = stackalloc char[LongestName];
        var length = name.Length <= LongestName ? Normalise(name, key) : 0;
        return length > 0 && _byName.TryGetValue(key[..length], out var known)
            ? known
            : new(name.ToString(), DataClass.Undetermined, TransferNotices.UnknownField, "I", []);
    }

    private static string ColumnOf(ClassificationProfile profile) =>
        profile == ClassificationProfile.Gbt45574 ? "gbt45574" : "conservative";

    private static ulong SensitiveIn(JsonElement root, string column)
    {
        var (sensitive, seen) = (0UL, 0UL);
        foreach (var row in root.Items("classes"))
        {
            var word = row.Text("class");
            if (!Vocabulary.TryClass(word, out var dataClass))
            {
                throw new InvalidDataException($"There is no class {word}.");
            }

            seen |= 1UL << (int)dataClass;
            sensitive |= row.OptionalBoolean(column) == true ? 1UL << (int)dataClass : 0;
        }

        var every = (1UL << Enum.GetValues<DataClass>().Length) - 1;
        return seen == every ? sensitive : throw new InvalidDataException("A class is missing from the classification.");
    }

    private static void AddRow(JsonElement row, string column, Dictionary<string, FieldClass> byName)
    {
        DataClass? dataClass = null;
        if (row.OptionalText("class") is { } word)
        {
            dataClass = Vocabulary.TryClass(word, out var value) ? value : throw new InvalidDataException($"There is no class {word}.");
        }

        // A cell that begins with C: the content decides, and until somebody says so the class of the row stands.
        var notice = row.Text(column).StartsWith('C') ? TransferNotices.ContextField : TransferNotices.None;
        var (mark, regimes) = (row.Text("mark"), row.Texts("regimes"));
        foreach (var name in row.Texts("names"))
        {
            if (!byName.TryAdd(KeyOf(name), new(name, dataClass, notice, mark, regimes)))
            {
                throw new InvalidDataException($"The field {name} is classified twice.");
            }
        }
    }

    private static void AddMap(
        IReadOnlyDictionary<string, string> fieldMap, Dictionary<string, FieldClass> byName, Action<string, string> fault)
    {
        var mapped = new List<(string Key, FieldClass Field)>();
        foreach (var (name, value) in fieldMap)
        {
            var key = KeyOf(name);
            if (key.Length == 0)
            {
                fault(name, "must name a field in at most 128 characters");
            }
            else if (byName.TryGetValue(key, out var known) && known.Notice != TransferNotices.ContextField)
            {
                fault(name, "is a field that is classified already; only unknown fields and those whose content decides can be mapped");
            }
            else if (value.Equals("notPersonal", StringComparison.OrdinalIgnoreCase))
            {
                mapped.Add((key, new(name, null, TransferNotices.None, "I", [])));
            }
            else if (Vocabulary.TryClass(value, out var dataClass) && dataClass != DataClass.Undetermined)
            {
                mapped.Add((key, new(name, dataClass, TransferNotices.None, "I", [])));
            }
            else if (byName.TryGetValue(KeyOf(value), out var like))
            {
                mapped.Add((key, new(name, like.Class, like.Notice, like.Mark, like.Regimes)));
            }
            else
            {
                fault(name, "must be a class such as finance, notPersonal, or a known field");
            }
        }

        foreach (var (key, field) in mapped)
        {
            byName[key] = field;
        }
    }

    private static string FingerprintOf(JsonElement root, string column, IReadOnlyDictionary<string, string> fieldMap)
    {
        var text = new StringBuilder(root.GetRawText()).Append('\n').Append(column);
        foreach (var (name, value) in fieldMap.OrderBy(entry => entry.Key, StringComparer.Ordinal))
        {
            text.Append('\n').Append(name).Append('=').Append(value);
        }

        return Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text.ToString())).AsSpan(0, 8));
    }

    private static string KeyOf(string name)
    {
        Span<char> key = stackalloc char[LongestName];
        return name.Length <= LongestName ? key[..Normalise(name, key)].ToString() : "";
    }

    /// <summary>Lower case, without separators. Returns the length.</summary>
    private static int Normalise(ReadOnlySpan<char> name, Span<char> key)
    {
        var length = 0;
        foreach (var character in name)
        {
            if (character is not ('-' or '_' or ' '))
            {
                key[length++] = char.ToLowerInvariant(character);
            }
        }

        return length;
    }
}
