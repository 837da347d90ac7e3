using System.Buffers;
using System.Text;
using System.Text.Json;
using DingFlow.Audit;

namespace DingFlow.Tests.Audit;

/// <summary>What is asked for is found, page by page, also while days are sealed.</summary>
public sealed class AuditSearchTests
{
    private static CancellationToken Cancellation => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Entries_are_found_by_time_kind_case_subject_principal_and_exporter()
    {
        await using var driver = new TrailDriver();
        using var feature = await AuditFeature.WithThreeDaysAsync(driver);
        await feature.Trail.AppendAsync(TrailDriver.Event("about somebody") with { Subject = new string('a', 64) }, Cancellation);

        Assert.Equal(33, (await feature.FindAsync(new())).Count);
        Assert.Equal(["main 0.0", "main 0.1", "other 0.0", "main 0.2"], (await feature.FindAsync(new())).Take(4));
        Assert.Equal(15, (await feature.FindAsync(new() { Kind = "tests.lawful" })).Count);
        Assert.Equal(33, (await feature.FindAsync(new() { Kind = "tests.*" })).Count);
        Assert.Empty(await feature.FindAsync(new() { Kind = "tests" }));
        Assert.Equal(["main 1.0", "main 1.1", "main 1.2", "main 1.3", "main 1.4"], await feature.FindAsync(new() { CaseId = "case-1" }));
        Assert.Equal(["main 0.0", "main 1.0", "main 2.0"], await feature.FindAsync(new() { Exporter = "acme-zhuhai" }));
        Assert.Equal(["main 1.0"], await feature.FindAsync(new() { Exporter = "acme-zhuhai", CaseId = "case-1" }));
        Assert.Equal(["about somebody"], await feature.FindAsync(new() { Subject = new string('a', 64) }));
        Assert.Equal(33, (await feature.FindAsync(new() { Principal = "key:ops" })).Count);
        Assert.Empty(await feature.FindAsync(new() { Principal = "key:nobody" }));
        var from = TrailDriver.Start + TimeSpan.FromDays(1) + TimeSpan.FromMinutes(2);
        Assert.Equal(["main 1.2", "other 1.1", "main 1.3", "other 1.2"], await feature.FindAsync(new() { From = from, To = from + TimeSpan.FromMinutes(2) }));
    }

    [Fact]
    public async Task Pages_join_without_a_gap_or_a_double_though_days_are_sealed_in_between()
    {
        await using var driver = new TrailDriver();
        using var feature = await AuditFeature.WithThreeDaysAsync(driver);
        var all = await feature.FindAsync(new());
        for (var size = 1; size <= 9; size += 2)
        {
            List<string?> paged = [];
            var next = new AuditCursor();
            for (var more = true; more;)
            {
                var page = new List<string?>();
                await foreach (var found in feature.Search.ReadAsync(new(), next, Cancellation))
                {
                    page.Add(found.Content!.Reason);
                    if (page.Count == size)
                    {
                        break;
                    }
                }

                more = page.Count == size;
                paged.AddRange(page);
                next = AuditCursor.Parse(next.ToString())!;
            }

            Assert.Equal(all, paged);
        }

        // The day is sealed between two pages.
        var cursor = new AuditCursor();
        await foreach (var found in feature.Search.ReadAsync(new(), cursor, Cancellation))
        {
            if (found.Content!.Reason == "open 1")
            {
                break;
            }
        }

        driver.Time.Advance(TimeSpan.FromDays(1));
        await feature.SealAsync();
        List<string?> rest = [];
        await foreach (var found in feature.Search.ReadAsync(new(), AuditCursor.Parse(cursor.ToString())!, Cancellation))
        {
            rest.Add(found.Content!.Reason);
        }

        Assert.Equal(["open 2"], rest);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(4)]
    [InlineData(7)]
    [InlineData(1000)]
    public async Task A_search_that_finds_little_answers_with_less_and_goes_on_where_it_stopped(int mostRead)
    {
        await using var driver = new TrailDriver();
        using var feature = await AuditFeature.WithThreeDaysAsync(driver);
        var filter = new AuditFilter { Kind = "tests.law*" };
        List<string?> all = [];
        var cursor = new AuditCursor();
        var pages = 0;
        for (var isMore = true; isMore; pages++)
        {
            var page = await feature.Search.PageAsync(filter, cursor, 100, mostRead, Cancellation);
            Assert.True(page.Found.Count <= mostRead);
            all.AddRange(page.Found.Select(static found => found.Content!.Reason));
            cursor = AuditCursor.Parse(cursor.ToString())!;
            isMore = page.IsMore;
        }

        Assert.Equal(await feature.FindAsync(filter), all);
        Assert.Equal(15, all.Count);
        Assert.Equal((32 / mostRead) + 1, pages);
    }

    [Theory]
    [InlineData("")]
    [InlineData("!!")]
    [InlineData("AAAA")]
    [InlineData("MjAyNi0xMS0yNTttYWluPXg")]
    [InlineData("MjAyNi0xMy00NQ")]
    public void A_cursor_that_nobody_gave_out_is_refused(string text) => Assert.Null(AuditCursor.Parse(text));

    [Fact]
    public async Task Exports_are_lines_that_can_be_read_in_every_form()
    {
        await using var driver = new TrailDriver();
        using var feature = new AuditFeature(driver);
        await feature.Trail.AppendAsync(
            TrailDriver.Event("=cmd|' /C calc'!A0, \"quoted\"\r\nnext") with
            {
                CaseId = "c-1", On = new("case", "c-1"), Details = new Dictionary<string, string> { ["a"] = "1", ["b"] = "因為" },
            },
            Cancellation);
        var found = await feature.Search.ReadAsync(new(), new(), Cancellation).FirstAsync(Cancellation);

        using var line = JsonDocument.Parse(Write(new JsonLinesFormat(), found));
        Assert.Equal("c-1", line.RootElement.GetProperty("content").GetProperty("caseId").GetString());

        var csv = Write(new CsvFormat(), found);
        Assert.EndsWith("\r\n", csv, StringComparison.Ordinal);
        Assert.Contains("\"'=cmd|' /C calc'!A0, \"\"quoted\"\"\r\nnext\"", csv, StringComparison.Ordinal);
        var header = new ArrayBufferWriter<byte>();
        new CsvFormat().Begin(header);
        Assert.Equal(21, Encoding.UTF8.GetString(header.WrittenSpan).Split(',').Length);

        using var ocsf = JsonDocument.Parse(Write(new OcsfFormat(), found));
        var root = ocsf.RootElement;
        Assert.Equal((6, 6003, 600399), (root.GetProperty("category_uid").GetInt32(), root.GetProperty("class_uid").GetInt32(), root.GetProperty("type_uid").GetInt32()));
        Assert.Equal("tests.happened", root.GetProperty("api").GetProperty("operation").GetString());
        Assert.Equal("key:ops", root.GetProperty("actor").GetProperty("user").GetProperty("uid").GetString());
        Assert.Equal(TrailDriver.Start.ToUnixTimeMilliseconds(), root.GetProperty("time").GetInt64());
        Assert.Equal("1.3.0", root.GetProperty("metadata").GetProperty("version").GetString());
    }

    private static string Write(IAuditFormat format, FoundEntry found)
    {
        var output = new ArrayBufferWriter<byte>();
        format.Write(output, found);
        return Encoding.UTF8.GetString(output.WrittenSpan);
    }
}
