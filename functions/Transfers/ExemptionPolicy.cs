using System.Collections.Frozen;

namespace DingFlow.Transfers;

/// <summary>
/// Whether an exemption may be claimed for a transfer, from <c>exemptions.json</c>. The claim itself is the exporter's; what is checked
/// is that it can be true and that its evidence is named.
/// </summary>
public sealed class ExemptionPolicy
{
    private static readonly Country Mainland = Country.Parse("CN");
    private static readonly Country Macau = Country.Parse("MO");
    private static readonly Country HongKong = Country.Parse("HK");
    private static readonly Lazy<ExemptionPolicy> Loaded = new(Load);

    private readonly FrozenDictionary<ExemptionKind, Exemption> _exemptions;
    private readonly FrozenDictionary<string, ExemptionKind> _byCode;
    private readonly FrozenSet<string> _greaterBayCities;

    private ExemptionPolicy(IReadOnlyList<Exemption> exemptions, IReadOnlyList<string> greaterBayCities)
    {
        _exemptions = exemptions.ToFrozenDictionary(exemption => exemption.Kind);
        _byCode = exemptions.ToFrozenDictionary(exemption => exemption.Code, exemption => exemption.Kind, StringComparer.OrdinalIgnoreCase);
        _greaterBayCities = greaterBayCities.ToFrozenSet(StringComparer.OrdinalIgnoreCase);
    }

    /// <summary>The policy that the program carries; read on first use.</summary>
    public static ExemptionPolicy Default => Loaded.Value;

    /// <summary>Every exemption there is.</summary>
    public IReadOnlyCollection<Exemption> Exemptions => _exemptions.Values;

    /// <summary>The exemption of a word (<c>hr</c>) or code (<c>EX-HR</c>), in any case.</summary>
    public bool TryParse(string text, out ExemptionKind exemption) =>
        Vocabulary.TryExemption(text, out exemption) || _byCode.TryGetValue(text, out exemption);

    /// <summary>The exemption asks for this kind of evidence, in any case.</summary>
    public bool Asks(ExemptionKind exemption, string kind) =>
        _exemptions.TryGetValue(exemption, out var found) && found.All.Contains(kind, StringComparer.OrdinalIgnoreCase);

    /// <summary>The place is one of the nine cities of the Greater Bay Area, in any case.</summary>
    public bool IsGreaterBayCity(string place) => _greaterBayCities.Contains(place);

    /// <summary>Judges a claim.</summary>
    public ExemptionVerdict Judge(ExemptionClaim claim)
    {
        if (claim.Kind == ExemptionKind.None)
        {
            return default;
        }

        var exemption = _exemptions[claim.Kind];
        var refusal = claim.Kind == ExemptionKind.GreaterBayContract ? GreaterBay(claim) : Applies(exemption, claim);
        if (refusal != RefusalReason.None)
        {
            return new(refusal, false);
        }

        var missing = exemption.All.Count(kind => !claim.Has(kind));
        return missing == exemption.All.Count && exemption.Any.Count > 0
            ? new(RefusalReason.ExemptionEvidenceMissing, false)
            : new(RefusalReason.None, missing > 0);
    }

    private static RefusalReason Applies(Exemption exemption, ExemptionClaim claim)
    {
        if (claim.Lane.Origin != Mainland)
        {
            return RefusalReason.ExemptionNotApplicable;
        }

        if (claim.Exporter.Ciio && !exemption.Ciio)
        {
            return RefusalReason.ExemptionNotOpenToExporter;
        }

        return claim.Kind switch
        {
            // Personal information of any kind contradicts the claim.
            ExemptionKind.Trade when claim.Personal => RefusalReason.ExemptionNotApplicable,
            ExemptionKind.FreeTradeZone when !claim.Exporter.FreeTradeZone => RefusalReason.ExemptionNotOpenToExporter,
            ExemptionKind.Transit when claim.Evidence.TryGetValue("collectedIn", out var country)
                && (!Country.TryParse(country, out var origin) || origin == Mainland) => RefusalReason.ExemptionNotApplicable,
            _ => RefusalReason.None,
        };
    }

    /// <summary>
    /// Macau's contract joins the nine cities and Macau, Hong Kong's the nine cities and Hong Kong, either way; none joins the two.
    /// </summary>
    private RefusalReason GreaterBay(ExemptionClaim claim)
    {
        var (origin, destination) = (claim.Lane.Origin, claim.Lane.Destination);
        var other = origin == Mainland ? destination : origin;
        if ((origin != Mainland && destination != Mainland) || (other != Macau && other != HongKong))
        {
            return RefusalReason.ExemptionNotApplicable;
        }

        var mainlandCity = origin == Mainland ? claim.Exporter.City : claim.Recipient?.City;
        if (claim.Recipient is null || mainlandCity is null || !_greaterBayCities.Contains(mainlandCity)
            || (claim.Recipient.Country is { } country && country != destination))
        {
            return RefusalReason.GbaParties;
        }

        return claim.Recipient.Onward.Concat(claim.Onward).All(place => IsInside(place, other))
            ? RefusalReason.None
            : RefusalReason.GbaOnward;
    }

    /// <summary>One of the nine cities, or the other party's own territory. The mainland as a whole is outside: Hangzhou is no city of the area.</summary>
    private bool IsInside(string place, Country other) =>
        _greaterBayCities.Contains(place) || (Country.TryParse(place, out var country) && country == other);

    private static ExemptionPolicy Load()
    {
        using var document = DataFile.Open("Transfers/exemptions.json");
        var root = document.RootElement;
        var exemptions = root.Items("exemptions").Select(row => new Exemption(
            Vocabulary.TryExemption(row.Text("exemption"), out var kind) ? kind : throw new InvalidDataException("An exemption is unknown."),
            row.Text("code"),
            row.Text("basis"),
            row.OptionalBoolean("sensitive") == true,
            row.OptionalBoolean("ciio") == true,
            row.Texts("any"),
            row.Texts("all"),
            row.Text("mark"))).ToList();
        return new(exemptions, root.Texts("greaterBayCities"));
    }
}

/// <summary>An exemption as the data have it.</summary>
/// <param name="Kind">Which.</param>
/// <param name="Code">Its code in filings, such as <c>EX-HR</c>.</param>
/// <param name="Basis">Law and article.</param>
/// <param name="Sensitive">Covers sensitive information.</param>
/// <param name="Ciio">Open to operators of critical infrastructure.</param>
/// <param name="Any">Evidence of which one kind suffices.</param>
/// <param name="All">Complete evidence.</param>
/// <param name="Mark">How well founded it is.</param>
public sealed record Exemption(
    ExemptionKind Kind, string Code, string Basis, bool Sensitive, bool Ciio, IReadOnlyList<string> Any, IReadOnlyList<string> All, string Mark);

/// <summary>A claim that an exemption covers a transfer.</summary>
/// <param name="Kind">Which.</param>
/// <param name="Exporter">Who claims it.</param>
/// <param name="Recipient">Who receives; <see langword="null"/> when the settings do not know it.</param>
/// <param name="Lane">From where to where.</param>
/// <param name="Personal">Some field is personal.</param>
/// <param name="Evidence">Documents that the record names, by kind.</param>
/// <param name="Onward">Places to which the recipient passes the data on, as the record names them.</param>
public sealed record ExemptionClaim(
    ExemptionKind Kind,
    Exporter Exporter,
    Recipient? Recipient,
    Lane Lane,
    bool Personal,
    IReadOnlyDictionary<string, string> Evidence,
    IReadOnlyList<string> Onward)
{
    internal bool Has(string kind) => Evidence.ContainsKey(kind) || Exporter.Evidence.ContainsKey((Kind, kind.ToUpperInvariant()));
}

/// <summary>What became of a claim.</summary>
/// <param name="Refusal">Why it was refused; <see cref="RefusalReason.None"/> when it stands.</param>
/// <param name="WeakEvidence">It stands on less evidence than there should be.</param>
public readonly record struct ExemptionVerdict(RefusalReason Refusal, bool WeakEvidence);
