using DingFlow.Tests.EndToEnd;
using Newtonsoft.Json.Linq;

namespace DingFlow.Tests.Transfers;

/// <summary>What people correct and ask over HTTP: batches taken back, opening balances, united identifiers, access requests, erasure.</summary>
public sealed class CorrectionTests(TransfersProgram program) : IClassFixture<TransfersProgram>
{
    [Fact]
    public async Task A_wrong_batch_is_taken_back_and_the_others_stand()
    {
        var exporter = program.NewExporter();
        await program.Sender.PostAsync(TransferSender.Record("t-1", "E1", exporter));
        var wrong = await program.Sender.PostAsync(
            TransferSender.Record("t-2", "E1", exporter, record => record["fields"] = new JArray("medicalHistory")), TransferSender.Record("t-3", "E2", exporter));
        var id = (string)wrong.Json["batchId"]!;
        Assert.Equal(2, (int)(await program.Compliance.CountersAsync(exporter))["subjects"]!);

        (await PostAsync($"/api/transfers/batches/{id}/void", new())).IsProblem(400, "malformed");
        var voided = await PostAsync($"/api/transfers/batches/{id}/void", new() { ["reason"] = "The wrong file was sent." });
        var again = await PostAsync($"/api/transfers/batches/{id}/void", new() { ["reason"] = "The wrong file was sent." });

        Assert.Equal((200, 200), (voided.Status, again.Status));
        Assert.Equal((exporter, "voided"), ((string?)voided.Json["exporters"]![0]!["exporter"], (string?)voided.Json["exporters"]![0]!["state"]));
        var counters = await program.Compliance.CountersAsync(exporter);
        Assert.Equal((1, 1), ((int)counters["subjects"]!, (int)counters["counters"]!["sensitive.finance"]!));
        Assert.Equal(0, (int?)counters["counters"]!["sensitive.medicalHealth"] ?? 0);
        var resent = await program.Sender.PostAsync(
            new JArray(TransferSender.Record("t-2", "E1", exporter, record => record["fields"] = new JArray("medicalHistory")), TransferSender.Record("t-3", "E2", exporter)).ToString());
        resent.IsProblem(409, "conflict");
        (await PostAsync("/api/transfers/batches/00000000000000000000000000000000/void", new() { ["reason"] = "None." })).IsProblem(404, "not-found");
        (await program.Sender.Client.AskAsync(HttpMethod.Post, $"/api/transfers/batches/{id}/void", """{"reason":"May I?"}""")).IsProblem(403, "forbidden");

        var reported = await program.AuditAsync("transfers.batch_recorded", id);
        Assert.Equal(["succeeded", "refused"], reported.Select(static entry => (string?)entry["outcome"]));
        var recorded = reported[0];
        Assert.Equal(("key:sender", "2", "0"), ((string?)recorded["actor"]!["id"], (string?)recorded["details"]!["accepted"], (string?)recorded["details"]!["rejected"]));
        Assert.Equal((exporter, 64), ((string?)recorded["exporter"], ((string?)recorded["payloadHash"])!.Length));
        Assert.Equal("BatchVoided", (string?)reported[1]["details"]!["cause"]);
        var voids = await program.AuditAsync("transfers.batch_voided", id);
        Assert.Equal(2, voids.Count);
        Assert.All(voids, entry => Assert.Equal(("key:compliance", "The wrong file was sent."), ((string?)entry["actor"]!["id"], (string?)entry["reason"])));
    }

    [Fact]
    public async Task An_opening_balance_stands_beside_the_counters_and_can_be_taken_back()
    {
        var exporter = program.NewExporter();
        var year = (int)(await program.Compliance.CountersAsync(exporter, null))["year"]!;
        var balance = new JObject { ["exporter"] = exporter, ["year"] = year, ["counter"] = "cn.counted.sensitive", ["count"] = 4321, ["source"] = "HR export of June" };

        var set = await AskAsync(HttpMethod.Put, "/api/transfers/opening-balances", balance);
        balance["count"] = 4400;
        await AskAsync(HttpMethod.Put, "/api/transfers/opening-balances", balance);
        var counters = await program.Compliance.CountersAsync(exporter, null);

        Assert.Equal(200, set.Status);
        Assert.Equal((0, 4400), ((int)counters["counters"]!["cn.counted.sensitive"]!, (int)Assert.Single(counters["openingBalances"]!)["count"]!));
        foreach (var (property, value) in ((string, JToken)[])[("counter", "made.up"), ("count", -1), ("year", year + 1), ("source", "")])
        {
            var bad = (JObject)balance.DeepClone();
            bad[property] = value;
            (await AskAsync(HttpMethod.Put, "/api/transfers/opening-balances", bad)).IsProblem(422, "invalid");
        }

        var removed = await program.Compliance.Client.AskAsync(HttpMethod.Delete, $"/api/transfers/opening-balances?exporter={exporter}&counter=cn.counted.sensitive");
        Assert.Equal(204, removed.Status);
        Assert.Empty((await program.Compliance.Client.AskAsync(HttpMethod.Get, $"/api/transfers/opening-balances?exporter={exporter}")).Json["openingBalances"]!);
        (await program.Compliance.Client.AskAsync(HttpMethod.Delete, $"/api/transfers/opening-balances?exporter={exporter}&counter=cn.counted.sensitive")).IsProblem(404, "not-found");
        var on = $"{exporter}/{year}/cn.counted.sensitive";
        Assert.Equal(["4321", "4400"], (await program.AuditAsync("transfers.opening_balance_set", on)).Select(entry => (string?)entry["details"]!["count"]));
        Assert.Equal(exporter, (string?)Assert.Single(await program.AuditAsync("transfers.opening_balance_removed", on))["exporter"]);
    }

    [Fact]
    public async Task The_rest_of_a_batch_that_was_voided_is_refused_also_for_other_exporters()
    {
        var (one, other) = (program.NewExporter(), program.NewExporter());
        var first = await program.Sender.PostAsync(TransferSender.Lines([1, 2], one), TransferSender.NdJson, $"import of {one}");

        var voided = await PostAsync($"/api/transfers/batches/{(string)first.Json["batchId"]!}/void", new() { ["reason"] = "The wrong file is being sent." });
        var rest = await program.Sender.PostAsync(TransferSender.Lines([3, 4], other), TransferSender.NdJson, $"import of {one}");
        var view = await AskAsync(HttpMethod.Get, $"/api/transfers/batches/{(string)first.Json["batchId"]!}", new());

        Assert.Equal(one, (string?)Assert.Single(voided.Json["exporters"]!)["exporter"]);
        rest.IsProblem(409, "conflict");
        Assert.Equal(one, (string?)Assert.Single(view.Json["exporters"]!)["exporter"]);
        Assert.Equal((0, 0), ((int)(await program.Compliance.CountersAsync(one))["subjects"]!, (int)(await program.Compliance.CountersAsync(other))["subjects"]!));
    }

    [Fact]
    public async Task A_record_that_says_nothing_personal_is_held_and_told()
    {
        var exporter = program.NewExporter();
        await program.Sender.PostAsync(TransferSender.Record("t-1", "E4713", exporter, record => (record["fields"], record["categories"]) = (new JArray(), new JArray("notPersonal"))));

        var found = await PostAsync("/api/subjects/lookup", new()
        {
            ["subject"] = new JObject { ["type"] = "employeeId", ["id"] = "E4713" }, ["exporter"] = exporter, ["reason"] = "Access request of 21 November.",
        });

        var held = Assert.Single(found.Json["exporters"]!);
        Assert.Equal((1, 0), ((int)held["recordCount"]!, held["years"]!.Count()));
    }

    [Fact]
    public async Task Two_identifiers_found_to_be_one_person_count_once_from_then_on()
    {
        var exporter = program.NewExporter();
        await program.Sender.PostAsync(
            TransferSender.Record("t-1", "E1", exporter),
            TransferSender.Record("t-2", "-", exporter, record => record["subject"] = new JObject { ["type"] = "email", ["id"] = $"one@{exporter}.example" }));
        Assert.Equal(2, (int)(await program.Compliance.CountersAsync(exporter))["subjects"]!);

        var united = await PostAsync("/api/subjects/unite", new()
        {
            ["exporter"] = exporter,
            ["reason"] = "The HR file has both.",
            ["subjects"] = new JArray(
                new JObject { ["type"] = "employeeId", ["id"] = "e1" }, new JObject { ["type"] = "email", ["id"] = $"One@{exporter}.Example" }),
        });
        await program.Sender.PostAsync(
            TransferSender.Record("t-3", "-", exporter, record => record["subject"] = new JObject { ["type"] = "email", ["id"] = $"one@{exporter}.example" }));

        Assert.True(united.Status == 200, united.Text);
        Assert.Equal(1, (int)united.Json["united"]!);
        Assert.Equal(1, (int)(await program.Compliance.CountersAsync(exporter))["subjects"]!);
        (await PostAsync("/api/subjects/unite", new() { ["exporter"] = exporter, ["reason"] = "Only one.", ["subjects"] = new JArray(new JObject { ["type"] = "employeeId", ["id"] = "E1" }) }))
            .IsProblem(422, "invalid");
        var told = Assert.Single(await program.AuditAsync("transfers.subjects_united"), entry => (string?)entry["exporter"] == exporter);
        Assert.Equal(("key:compliance", "The HR file has both."), ((string?)told["actor"]!["id"], (string?)told["reason"]));
        Assert.DoesNotContain("one@", told.ToString(), StringComparison.OrdinalIgnoreCase);
    }

    [Fact]
    public async Task A_key_that_is_confined_to_some_exporters_cannot_lower_the_counts_of_others()
    {
        using var confined = program.Program.CreateOperator(TransfersProgram.ConfinedKey);
        var request = new JObject
        {
            ["exporter"] = "exporter-1",
            ["reason"] = "So that they count once.",
            ["subjects"] = new JArray(
                new JObject { ["type"] = "email", ["id"] = "one@confined.example" }, new JObject { ["type"] = "email", ["id"] = "two@confined.example" }),
        };

        (await confined.AskAsync(HttpMethod.Post, "/api/subjects/unite", request.ToString())).IsProblem(403, "forbidden");
    }

    [Fact]
    public async Task A_recount_is_audited_with_what_it_found()
    {
        var exporter = program.NewExporter();
        await program.Sender.PostAsync(TransferSender.Record("t-1", "E1", exporter));
        using var operations = program.Program.CreateOperator(TransfersProgram.OperationsKey);

        var report = await operations.AskAsync(HttpMethod.Post, $"/api/transfers/recount?exporter={exporter}");

        Assert.True((bool)report.Json["agrees"]!, report.Text);
        var entry = Assert.Single(await program.AuditAsync("transfers.recounted"), entry => (string?)entry["exporter"] == exporter);
        Assert.Equal("key:operations", (string?)entry["actor"]!["id"]);
    }

    [Fact]
    public async Task A_person_is_told_what_is_held_and_nobody_learns_it_without_a_reason()
    {
        var exporter = program.NewExporter();
        await program.Sender.PostAsync(
            TransferSender.Record("t-1", "E4711", exporter), TransferSender.Record("t-2", "E4711", exporter, record => record["purpose"] = "training"), TransferSender.Record("t-3", "E4712", exporter));
        var request = new JObject { ["subject"] = new JObject { ["type"] = "employeeId", ["id"] = "e4711" }, ["exporter"] = exporter };

        (await PostAsync("/api/subjects/lookup", request)).IsProblem(400, "malformed");
        request["reason"] = "Access request of 20 November.";
        var found = await PostAsync("/api/subjects/lookup", request);
        request["subject"]!["id"] = "E9999";
        var nobody = await PostAsync("/api/subjects/lookup", request);

        Assert.Equal(200, found.Status);
        var held = Assert.Single(found.Json["exporters"]!);
        Assert.Equal((exporter, 2), ((string?)held["exporter"], (int)held["recordCount"]!));
        Assert.Equal(["payroll", "training"], held["records"]!.Select(record => (string?)record["purpose"]).Order());
        Assert.Equal(
            [("CN-SG", "acme-sg", "finance"), ("CN-SG", "acme-sg", "general")],
            held["years"]![0]!["facts"]!.Select(fact => ((string)fact["lane"]!, (string)fact["recipient"]!, (string)fact["class"]!)).OrderBy(fact => fact.Item3, StringComparer.Ordinal));
        Assert.DoesNotContain("4711", found.Text, StringComparison.Ordinal);
        Assert.Empty(nobody.Json["exporters"]!);
        Assert.DoesNotContain("4711", program.Program.Output + program.Program.Errors, StringComparison.OrdinalIgnoreCase);
        (await program.Sender.Client.AskAsync(HttpMethod.Post, "/api/subjects/lookup", request.ToString())).IsProblem(403, "forbidden");
        var looks = (await program.AuditAsync("transfers.subject_looked_up")).Where(entry => (string?)entry["reason"] == "Access request of 20 November.").ToList();
        Assert.Equal(2, looks.Count);
        Assert.All(looks, entry => Assert.DoesNotContain("4711", entry.ToString(), StringComparison.Ordinal));
    }

    [Fact]
    public async Task Nobody_is_erased_whose_records_are_within_their_retention()
    {
        var exporter = program.NewExporter();
        await program.Sender.PostAsync(TransferSender.Record("t-1", "E1", exporter));

        var refused = await PostAsync("/api/subjects/erase", new()
        {
            ["subject"] = new JObject { ["type"] = "employeeId", ["id"] = "E1" }, ["exporter"] = exporter, ["reason"] = "The person asked for it.",
        });

        refused.IsProblem(409, "conflict");
        Assert.Equal(1, (int)(await program.Compliance.CountersAsync(exporter))["subjects"]!);
        var told = Assert.Single(await program.AuditAsync("transfers.subject_erased"), entry => (string?)entry["exporter"] == exporter);
        Assert.Equal(("refused", "WithinRetention"), ((string?)told["outcome"], (string?)told["details"]!["cause"]));
        Assert.Single(
            await program.AuditAsync("transfers.change_begun"),
            entry => (string?)entry["exporter"] == exporter && (string?)entry["details"]!["kind"] == "transfers.subject_erased");
    }

    private Task<Answer> PostAsync(string path, JObject body) => AskAsync(HttpMethod.Post, path, body);

    private Task<Answer> AskAsync(HttpMethod method, string path, JObject body) => program.Compliance.Client.AskAsync(method, path, body.ToString());
}
