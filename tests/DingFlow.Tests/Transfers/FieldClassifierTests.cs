using System.Text.Json;
using CsCheck;
using DingFlow.Tests.Infrastructure;
using DingFlow.Transfers;

namespace DingFlow.Tests.Transfers;

public sealed class FieldClassifierTests
{
    private static readonly Dictionary<string, string> NoMap = [];

    private static FieldClassifier Conservative { get; } = Load(ClassificationProfile.Conservative, NoMap);

    private static FieldClassifier Gbt45574 { get; } = Load(ClassificationProfile.Gbt45574, NoMap);

    [Theory]
    [InlineData("name", DataClass.General, false, false)]
    [InlineData("mobile", DataClass.General, false, false)]
    [InlineData("bankCardNumber", DataClass.Finance, true, true)]
    [InlineData("salary", DataClass.Finance, true, true)]
    [InlineData("idCardNumber", DataClass.IdentityNumber, false, true)]
    [InlineData("ethnicity", DataClass.EthnicOrigin, false, true)]
    [InlineData("healthCheck", DataClass.MedicalHealth, true, true)]
    [InlineData("religion", DataClass.Religious, true, true)]
    [InlineData("fingerprint", DataClass.Biometric, true, true)]
    [InlineData("criminalRecord", DataClass.OtherSensitive, true, true)]
    public void Fields_are_what_the_guides_call_them(string field, DataClass expected, bool underGuide, bool underConservative)
    {
        Assert.Equal(expected, Gbt45574.Classify(field).Class);
        Assert.Equal(underGuide, Gbt45574.IsSensitive(expected));
        Assert.Equal(expected, Conservative.Classify(field).Class);
        Assert.Equal(underConservative, Conservative.IsSensitive(expected));
    }

    [Fact]
    public void Every_row_of_the_data_is_read_as_it_says()
    {
        using var data = JsonDocument.Parse(File.ReadAllText(Path.Combine(Repository.Root, "functions/Transfers/Classification/classification.json")));
        var names = 0;
        foreach (var row in data.RootElement.GetProperty("fields").EnumerateArray())
        {
            foreach (var (classifier, column) in (IEnumerable<(FieldClassifier, string)>)[(Gbt45574, "gbt45574"), (Conservative, "conservative")])
            {
                foreach (var name in row.GetProperty("names").EnumerateArray().Select(name => name.GetString()!))
                {
                    names++;
                    var field = classifier.Classify(name);
                    var mark = row.GetProperty(column).GetString()!;
                    Assert.Equal(mark.StartsWith('C') ? TransferNotices.ContextField : TransferNotices.None, field.Notice);
                    if (mark is "S" or "G")
                    {
                        Assert.True(mark == "S" == classifier.IsSensitive(field.Class!.Value), $"{name} under {column}");
                    }
                    else if (mark.StartsWith('C'))
                    {
                        // Until somebody says what it holds, it errs towards the duty.
                        Assert.NotNull(field.Class);
                    }
                }
            }
        }

        Assert.True(names > 800, $"only {names} names");
    }

    [Theory]
    [InlineData("BANK_CARD_NUMBER")]
    [InlineData("bank-card-number")]
    [InlineData("Bank Card Number")]
    public void Names_match_in_any_case_and_with_any_separator(string field) =>
        Assert.Equal(DataClass.Finance, Conservative.Classify(field).Class);

    [Fact]
    public void An_unknown_field_is_never_silently_harmless() =>
        Gen.String[1, 200].Sample(name =>
        {
            foreach (var classifier in (FieldClassifier[])[Conservative, Gbt45574])
            {
                var field = classifier.Classify(name);
                if (field.Notice == TransferNotices.UnknownField)
                {
                    Assert.Equal(DataClass.Undetermined, field.Class);
                    Assert.True(classifier.IsSensitive(DataClass.Undetermined));
                }
                else
                {
                    Assert.NotEqual("I", field.Mark == "I" && field.Class is null ? "I" : "");
                }
            }
        });

    [Fact]
    public void The_company_says_what_its_own_fields_hold_but_not_what_the_law_names()
    {
        List<string> faults = [];
        var classifier = FieldClassifier.Load(
            ClassificationProfile.Conservative,
            new Dictionary<string, string>
            {
                ["costBucket"] = "notPersonal",
                ["payrollIban"] = "finance",
                ["spitzname"] = "nickname",
                ["salary"] = "notPersonal",
                ["mystery"] = "somethingElse",
                ["shadow"] = "undetermined",
            },
            (name, _) => faults.Add(name));

        Assert.Null(classifier.Classify("cost_bucket").Class);
        Assert.Equal(DataClass.Finance, classifier.Classify("PayrollIban").Class);
        Assert.Equal(DataClass.General, classifier.Classify("spitzname").Class);
        Assert.Equal(DataClass.Finance, classifier.Classify("salary").Class);
        Assert.Equal(["mystery", "salary", "shadow"], faults.Order());
        Assert.NotEqual(Conservative.Fingerprint, classifier.Fingerprint);
    }

    private static FieldClassifier Load(ClassificationProfile profile, Dictionary<string, string> map) =>
        FieldClassifier.Load(profile, map, (name, fault) => Assert.Fail($"{name} {fault}"));
}
