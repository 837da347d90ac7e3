using System.Collections.Frozen;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace DingFlow.Transfers;

/// <summary>The settings that bear on what counts.</summary>
/// <param name="SensitiveClasses">The classes that the active profile calls sensitive, a bit per number.</param>
/// <param name="CountStatutoryDuty"><c>Transfers:CountStatutoryDuty</c>: transfers under a statutory duty count; unsettled in law, so the default is yes.</param>
/// <param name="CountGbaContract"><c>Transfers:CountGbaContract</c>: transfers under a Greater Bay Area contract count; unsettled, default no.</param>
public sealed record CountingChoices(ulong SensitiveClasses, bool CountStatutoryDuty = true, bool CountGbaContract = false)
{
    internal bool IsOn(string setting) => setting switch
    {
        "Transfers:CountStatutoryDuty" => CountStatutoryDuty,
        "Transfers:CountGbaContract" => CountGbaContract,
        _ => throw new InvalidDataException($"predicates.json names the setting {setting}, which does not exist."),
    };
}

/// <summary>
/// The counters that are kept, as data (<c>predicates.json</c>) under the settings' choices. A set never changes after loading.
/// </summary>
public sealed class PredicateSet
{
    private const string Path = "Transfers/predicates.json";

    private PredicateSet(IReadOnlyList<SubjectPredicate> predicates, IReadOnlyList<PredicateTemplate> templates, string fingerprint)
    {
        Predicates = predicates;
        Templates = templates;
        Fingerprint = fingerprint;
    }

    /// <summary>The counters that have one name.</summary>
    public IReadOnlyList<SubjectPredicate> Predicates { get; }

    /// <summary>The families of counters.</summary>
    public IReadOnlyList<PredicateTemplate> Templates { get; }

    /// <summary>
    /// A digest of the definitions and choices, 16 hexadecimal digits. Counters that were kept under another fingerprint mean something
    /// else and must be counted anew from the rows.
    /// </summary>
    public string Fingerprint { get; }

    /// <summary>Reads the definitions that the program carries.</summary>
    /// <exception cref="InvalidDataException">They are malformed.</exception>
    public static PredicateSet Load(CountingChoices choices)
    {
        using var document = DataFile.Open(Path);
        var root = document.RootElement;
        var reader = new Reader(root, choices);
        var predicates = root.Items("predicates").Select(reader.Predicate).ToList();
        var templates = root.Items("templates").Select(reader.Template).ToList();
        var definition = string.Create(CultureInfo.InvariantCulture,
            $"{root.GetRawText()}\n{choices.SensitiveClasses:x}\n{choices.CountStatutoryDuty}\n{choices.CountGbaContract}");
        return new(predicates, templates, Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(definition)).AsSpan(0, 8)));
    }

    /// <summary>
    /// The names of all counters to which a subject with these facts adds one. The plain meaning of the definitions, for previews and as
    /// the yardstick of faster evaluations.
    /// </summary>
    /// <param name="facts">The facts of the counted year.</param>
    /// <param name="factsOfYearBefore">The facts of the year before.</param>
    public IReadOnlySet<string> NamesFor(ReadOnlySpan<TransferFact> facts, ReadOnlySpan<TransferFact> factsOfYearBefore)
    {
        var names = new HashSet<string>(StringComparer.Ordinal);
        foreach (var predicate in Predicates)
        {
            if (predicate.Holds(facts, factsOfYearBefore))
            {
                names.Add(predicate.Name);
            }
        }

        foreach (var template in Templates)
        {
            foreach (ref readonly var fact in facts)
            {
                if (template.NameFor(in fact) is { } name)
                {
                    names.Add(name);
                }
            }
        }

        return names;
    }

    /// <summary>A counter may have this name: that of a predicate, or of a family and a value.</summary>
    public bool IsCounter(string name) => Predicates.Any(predicate => predicate.Name.Equals(name, StringComparison.Ordinal))
        || Templates.Any(template => name.Length > template.Prefix.Length && name.StartsWith(template.Prefix, StringComparison.Ordinal)
            && TransfersOptions.IsId(name.AsSpan(template.Prefix.Length)));

    private sealed class Reader(JsonElement root, CountingChoices choices)
    {
        public SubjectPredicate Predicate(JsonElement element)
        {
            var years = element.OptionalNumber("years") ?? 1;
            return years is 1 or 2
                ? new(element.Text("name"), (int)years, Filters(element, "any"), Filters(element, "none"))
                : throw new InvalidDataException("A predicate spans one or two years.");
        }

        public PredicateTemplate Template(JsonElement element)
        {
            var (name, by) = (element.Text("name"), element.Text("by"));
            if (!Enum.TryParse<FactDimension>(by, ignoreCase: true, out var dimension) || !name.EndsWith($"{{{by}}}", StringComparison.Ordinal))
            {
                throw new InvalidDataException($"The template {name} must end in the dimension it is by.");
            }

            var (classes, exemptions) = (ulong.MaxValue, uint.MaxValue);
            foreach (var word in element.Texts("except"))
            {
                if (dimension == FactDimension.Class)
                {
                    classes &= ~(1UL << (int)Class(word));
                }
                else if (dimension == FactDimension.Exemption)
                {
                    exemptions &= ~(1U << (int)Exemption(word));
                }
                else
                {
                    throw new InvalidDataException($"The template {name} excepts a value of an open dimension.");
                }
            }

            return new(name[..^(by.Length + 2)], dimension, Filter(element.GetProperty("where"), classes, exemptions));
        }

        private List<FactFilter> Filters(JsonElement element, string name) =>
            [.. element.Items(name).Select(filter => Filter(filter, ulong.MaxValue, uint.MaxValue))];

        private FactFilter Filter(JsonElement element, ulong classes, uint exemptions)
        {
            foreach (var property in element.EnumerateObject())
            {
                if (property.Name is not ("leaves" or "between" or "exemptionIn" or "exemptionNotIn" or "sensitivity" or "class" or "minor"))
                {
                    throw new InvalidDataException($"A filter has no {property.Name}.");
                }
            }

            exemptions &= element.OptionalText("exemptionIn") is { } among ? Exemptions(among) : uint.MaxValue;
            exemptions &= element.OptionalText("exemptionNotIn") is { } without ? ~Exemptions(without) : uint.MaxValue;
            var between = element.Texts("between");
            return new()
            {
                Classes = element.OptionalText("class") is { } word ? classes & (1UL << (int)Class(word)) : classes,
                Exemptions = exemptions,
                SensitiveClasses = choices.SensitiveClasses,
                Sensitive = element.OptionalText("sensitivity") switch
                {
                    null => null,
                    "sensitive" => true,
                    "general" => false,
                    var other => throw new InvalidDataException($"A sensitivity is sensitive or general, not {other}."),
                },
                Minor = element.OptionalBoolean("minor"),
                Leaves = element.OptionalText("leaves") is { } place ? Place(place) : null,
                Between = between.Count switch
                {
                    0 => null,
                    2 => (Place(between[0]), Place(between[1])),
                    _ => throw new InvalidDataException("A lane lies between two places."),
                },
            };
        }

        private FrozenSet<Country> Place(string name) => root.GetProperty("places").Texts(name) is { Count: > 0 } codes
            ? codes.Select(Country.Parse).ToFrozenSet()
            : throw new InvalidDataException($"There is no place {name}.");

        private uint Exemptions(string name)
        {
            if (!root.GetProperty("exemptions").TryGetProperty(name, out var group))
            {
                throw new InvalidDataException($"There is no group of exemptions {name}.");
            }

            var mask = 0U;
            foreach (var word in group.Texts("members"))
            {
                var counted = group.TryGetProperty("unless", out var unless) && unless.OptionalText(word) is { } setting && choices.IsOn(setting);
                mask |= counted ? 0 : 1U << (int)Exemption(word);
            }

            return mask;
        }

        private static DataClass Class(string word) =>
            Vocabulary.TryClass(word, out var value) ? value : throw new InvalidDataException($"There is no class {word}.");

        private static ExemptionKind Exemption(string word) =>
            Vocabulary.TryExemption(word, out var value) ? value : throw new InvalidDataException($"There is no exemption {word}.");
    }
}
