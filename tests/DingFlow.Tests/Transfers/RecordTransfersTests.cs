using DingFlow.Tests.EndToEnd;
using DingFlow.Tests.Infrastructure;
using Newtonsoft.Json.Linq;

namespace DingFlow.Tests.Transfers;

/// <summary><c>POST /api/transfers</c> and <c>GET /api/transfers/counters</c> through HTTP against the real program.</summary>
public sealed class RecordTransfersTests(TransfersProgram program) : IClassFixture<TransfersProgram>
{
    [Fact]
    public async Task The_record_of_the_contract_is_counted_as_the_contract_says()
    {
        await using var standalone = await DingFlowProcess.StartStandaloneAsync();
        using var sender = new TransferSender(standalone.CreateOperator());

        var answer = await sender.PostAsync(TransferSender.Record("t-1", "E1001"));

        Assert.Equal(202, answer.Status);
        Assert.Equal((1, 0, 0), ((int)answer.Json["accepted"]!, (int)answer.Json["duplicates"]!, answer.Json["rejected"]!.Count()));
        Assert.Matches("^[0-9a-f]{32}$", (string)answer.Json["batchId"]!);
        var counters = await sender.CountersAsync("acme-zhuhai");
        Assert.Equal(("acme-zhuhai", 2026, 1), ((string?)counters["exporter"], (int)counters["year"]!, (int)counters["subjects"]!));
        foreach (var name in (string[])["pi.general", "pi.sensitive", "sensitive.finance", "recipient.acme-sg", "country.SG", "lane.CN-SG"])
        {
            Assert.Equal(1, (int)counters["counters"]![name]!);
        }

        var empty = await sender.CountersAsync("acme-sg");
        Assert.Equal((0, 0), ((int)empty["subjects"]!, (int)empty["counters"]!["pi.general"]!));
    }

    [Fact]
    public async Task Bad_records_are_refused_with_index_and_code_and_the_others_go_on()
    {
        var exporter = program.NewExporter();

        var answer = await program.Sender.PostAsync(
            TransferSender.Record("t-1", "E1", exporter),
            TransferSender.Record("t-2", "E2", "nobody"),
            TransferSender.Record("t-3", "E3", exporter, record => record["occurredAt"] = "2099-01-01T00:00:00Z"),
            TransferSender.Record("t-4", "E4", exporter, record => record.Remove("purpose")),
            TransferSender.Record("t-5", "E5", exporter));

        Assert.Equal(202, answer.Status);
        Assert.Equal((2, 0, 3, 5), ((int)answer.Json["accepted"]!, (int)answer.Json["duplicates"]!, (int)answer.Json["rejectedCount"]!, (int)answer.Json["read"]!));
        Assert.Equal(
            [(1, "unknown-exporter"), (2, "in-the-future"), (3, "missing-property")],
            answer.Json["rejected"]!.Select(rejected => ((int)rejected["index"]!, (string)rejected["code"]!)));
        Assert.All(answer.Json["rejected"]!, rejected => Assert.NotEmpty((string)rejected["message"]!));
        Assert.Equal(2, (int)(await program.Compliance.CountersAsync(exporter))["subjects"]!);
    }

    [Fact]
    public async Task A_record_id_repeated_within_a_batch_and_a_batch_sent_again_are_duplicates()
    {
        var exporter = program.NewExporter();
        var body = new JArray(
            TransferSender.Record("t-1", "E1", exporter), TransferSender.Record("t-2", "E2", exporter), TransferSender.Record("t-1", "E3", exporter)).ToString();

        var first = await program.Sender.PostAsync(body);
        var again = await program.Sender.PostAsync(body);

        Assert.Equal((2, 1), ((int)first.Json["accepted"]!, (int)first.Json["duplicates"]!));
        Assert.Equal((0, 3), ((int)again.Json["accepted"]!, (int)again.Json["duplicates"]!));
        Assert.Equal(first.Json["batchId"], again.Json["batchId"]);
        Assert.Equal(2, (int)(await program.Compliance.CountersAsync(exporter))["subjects"]!);
    }

    [Fact]
    public async Task Who_may_not_is_told_so()
    {
        using var nobody = new TransferSender(new HttpClient { BaseAddress = program.Program.Client.BaseAddress });
        using var confined = new TransferSender(program.Program.CreateOperator(TransfersProgram.ConfinedKey));

        (await nobody.PostAsync(TransferSender.Record("t-1", "E1"))).IsProblem(401, "unauthorized");
        (await program.Compliance.PostAsync(TransferSender.Record("t-1", "E1"))).IsProblem(403, "forbidden");
        (await program.Sender.Client.AskAsync(HttpMethod.Get, "/api/transfers/counters?exporter=exporter-1")).IsProblem(403, "forbidden");
        var refused = await confined.PostAsync(TransferSender.Record("t-1", "E1", "exporter-59"));
        Assert.Equal("exporter-not-allowed", (string?)refused.Json["rejected"]![0]!["code"]);
        (await confined.Client.AskAsync(HttpMethod.Get, "/api/transfers/counters?exporter=exporter-59")).IsProblem(403, "forbidden");
        Assert.Equal(200, (await confined.Client.AskAsync(HttpMethod.Get, "/api/transfers/counters?exporter=exporter-1")).Status);
    }

    [Fact]
    public async Task A_question_for_counters_that_cannot_be_answered_is_a_problem()
    {
        var client = program.Compliance.Client;

        (await client.AskAsync(HttpMethod.Get, "/api/transfers/counters")).IsProblem(400, "malformed");
        (await client.AskAsync(HttpMethod.Get, "/api/transfers/counters?exporter=nobody")).IsProblem(404, "unknown-exporter");
        (await client.AskAsync(HttpMethod.Get, "/api/transfers/counters?exporter=exporter-1&year=next")).IsProblem(400, "malformed");
    }

    [Theory]
    [InlineData("text/plain", "[]", 415, "unsupported-media-type")]
    [InlineData("application/json; charset=gbk", "[]", 415, "unsupported-media-type")]
    [InlineData("application/json", "no JSON", 400, "malformed")]
    [InlineData("application/json", "", 400, "malformed")]
    public async Task A_body_that_is_no_batch_is_a_problem(string contentType, string body, int status, string slug) =>
        (await program.Sender.PostAsync(body, contentType)).IsProblem(status, slug);
}
