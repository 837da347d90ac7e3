using DingFlow.Transfers;

namespace DingFlow.Tests.Transfers;

public sealed class ExemptionPolicyTests
{
    private static readonly Exporter Zhuhai = new() { Id = "acme-zhuhai", City = "zhuhai" };
    private static readonly Recipient Macau = new() { Id = "acme-mo", Country = Country.Parse("MO") };

    public static TheoryData<string, string, string, string, int> Claims => new()
    {
        // exemption, lane, evidence, exporter, refusal (and 1000: stands on weak evidence)
        { "contract", "CN-SG", "contract=C-1", "", 0 },
        { "contract", "CN-SG", "", "", (int)RefusalReason.ExemptionEvidenceMissing },
        { "contract", "SG-CN", "contract=C-1", "", (int)RefusalReason.ExemptionNotApplicable },
        { "hr", "CN-SG", "labourRules=L-1;collectiveContract=K-1", "", 0 },
        { "hr", "CN-SG", "labourRules=L-1", "", 1000 },
        { "hr", "CN-SG", "", "", (int)RefusalReason.ExemptionEvidenceMissing },
        { "hr", "CN-SG", "", "evidence", 0 },
        { "transit", "CN-SG", "collectedIn=PT", "", 0 },
        { "transit", "CN-SG", "collectedIn=CN", "", (int)RefusalReason.ExemptionNotApplicable },
        { "ftz", "CN-SG", "negativeList=N-1", "", (int)RefusalReason.ExemptionNotOpenToExporter },
        { "ftz", "CN-SG", "negativeList=N-1", "ftz", 0 },
        { "trade", "CN-SG", "", "", (int)RefusalReason.ExemptionNotApplicable },
        { "gba", "CN-MO", "filing=F-1", "", 0 },
        { "gba", "MO-CN", "filing=F-1", "", (int)RefusalReason.GbaParties },
        { "gba", "CN-SG", "filing=F-1", "", (int)RefusalReason.ExemptionNotApplicable },
        { "gba", "MO-HK", "filing=F-1", "", (int)RefusalReason.ExemptionNotApplicable },
        { "gba", "CN-MO", "filing=F-1", "shanghai", (int)RefusalReason.GbaParties },
        { "gba", "CN-MO", "", "", (int)RefusalReason.ExemptionEvidenceMissing },
    };

    [Theory]
    [MemberData(nameof(Claims))]
    public void A_claim_stands_where_it_can_be_true_and_names_its_evidence(string exemption, string lane, string evidence, string exporter, int expected)
    {
        Assert.True(ExemptionPolicy.Default.TryParse(exemption, out var kind));
        var verdict = ExemptionPolicy.Default.Judge(new(kind, Named(exporter), Macau, Lane.Parse(lane), Personal: true, Evidence(evidence), []));

        Assert.Equal(expected, verdict.WeakEvidence ? 1000 : (int)verdict.Refusal);
    }

    [Theory]
    [InlineData("zhuhai", RefusalReason.None)]
    [InlineData("Shenzhen", RefusalReason.None)]
    [InlineData("MO", RefusalReason.None)]
    [InlineData("HK", RefusalReason.GbaOnward)]
    [InlineData("hangzhou", RefusalReason.GbaOnward)]
    [InlineData("CN", RefusalReason.GbaOnward)]
    [InlineData("SG", RefusalReason.GbaOnward)]
    public void Data_under_the_contract_of_Macau_stay_in_the_nine_cities_and_Macau(string onward, RefusalReason expected)
    {
        var byRecord = ExemptionPolicy.Default.Judge(new(
            ExemptionKind.GreaterBayContract, Zhuhai, Macau, Lane.Parse("CN-MO"), true, Evidence("filing=F-1"), [onward]));
        var bySettings = ExemptionPolicy.Default.Judge(new(
            ExemptionKind.GreaterBayContract, Zhuhai, Macau with { Onward = [onward.ToLowerInvariant()] }, Lane.Parse("CN-MO"), true, Evidence("filing=F-1"), []));

        Assert.Equal((expected, expected), (byRecord.Refusal, bySettings.Refusal));
    }

    [Fact]
    public void A_recipient_that_nobody_knows_is_no_party_of_a_contract() => Assert.Equal(
        RefusalReason.GbaParties,
        ExemptionPolicy.Default.Judge(new(ExemptionKind.GreaterBayContract, Zhuhai, null, Lane.Parse("CN-MO"), true, Evidence("filing=F-1"), [])).Refusal);

    [Fact]
    public void Every_exemption_has_a_basis_and_a_code_of_its_own()
    {
        Assert.Equal(Enum.GetValues<ExemptionKind>().Length - 1, ExemptionPolicy.Default.Exemptions.Count);
        Assert.Equal(ExemptionPolicy.Default.Exemptions.Count, ExemptionPolicy.Default.Exemptions.Select(exemption => exemption.Code).Distinct().Count());
        Assert.All(ExemptionPolicy.Default.Exemptions, exemption => Assert.NotEmpty(exemption.Basis));
        Assert.All(ExemptionPolicy.Default.Exemptions, exemption => Assert.True(ExemptionPolicy.Default.TryParse(exemption.Code, out var kind) && kind == exemption.Kind));
    }

    private static Exporter Named(string what) => what switch
    {
        "ftz" => Zhuhai with { FreeTradeZone = true },
        "shanghai" => Zhuhai with { City = "shanghai" },
        "evidence" => Zhuhai with
        {
            Evidence = new Dictionary<(ExemptionKind, string), string>
            {
                [(ExemptionKind.HumanResources, "LABOURRULES")] = "L-1", [(ExemptionKind.HumanResources, "COLLECTIVECONTRACT")] = "K-1",
            },
        },
        _ => Zhuhai,
    };

    private static Dictionary<string, string> Evidence(string text) => text.Split(';', StringSplitOptions.RemoveEmptyEntries)
        .Select(entry => entry.Split('=')).ToDictionary(entry => entry[0], entry => entry[1], StringComparer.OrdinalIgnoreCase);
}
