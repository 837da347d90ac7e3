using System.Globalization;
using DingFlow.Hosting;
using DingFlow.Messaging;
using DingFlow.Transfers.Ledger;

namespace DingFlow.Transfers;

/// <summary><c>GET transfers/opening-balances?exporter=</c>: counts from before DingFlow.</summary>
public sealed class ListOpeningBalances(TransfersOptions options, SubjectLedger ledger) : IHttpFunction
{
    /// <inheritdoc/>
    public Task InvokeAsync(HttpContext context) => context.GuardLedgerAsync(async () =>
    {
        if (await context.ExporterAsync(options, context.Request.Query["exporter"]) is { } exporter)
        {
            await context.WriteJsonAsync(
                new OpeningBalancesView(exporter.Id, await ledger.ReadOpeningBalancesAsync(exporter.Id, context.RequestAborted)), TransfersJson.Default.OpeningBalancesView);
        }
    });
}

/// <summary>
/// <c>PUT transfers/opening-balances</c>: enters or corrects how many persons were counted before DingFlow. The number is labelled and
/// stands beside the counters; nobody knows who these persons are, so it is added to none. Whoever has the records sends them instead.
/// </summary>
public sealed partial class SetOpeningBalance(
    TransfersOptions options, SubjectLedger ledger, PredicateSet predicates, ChangeJournal journal, TimeProvider time, ILogger<SetOpeningBalance> logger) : IHttpFunction
{
    private const int MaximumBody = 4 * 1024;
    private const int LongestSource = 200;

    /// <inheritdoc/>
    public Task InvokeAsync(HttpContext context) => context.GuardLedgerAsync(async () =>
    {
        if (await context.ReadJsonAsync(TransfersJson.Default.OpeningBalanceRequest, MaximumBody) is not { } request
            || await context.ExporterAsync(options, request.Exporter) is not { } exporter)
        {
            return;
        }

        var thisYear = LegalTime.YearOf(time.GetUtcNow());
        var fault = request switch
        {
            { Year: var year } when year > thisYear || year < thisYear - options.RetentionYears => "year must be the present one or within the retention.",
            { Count: not >= 0 } => "count must be a whole number of persons.",
            { Source: not { Length: >= 3 and <= LongestSource } } => "source must say in 3 to 200 characters where the number comes from.",
            { Counter: { Length: > 0 } counter } when predicates.IsCounter(counter) => null,
            _ => "counter must be the name of a counter, such as cn.counted.sensitive.",
        };
        if (fault is not null)
        {
            await context.ProblemAsync(ProblemCode.Invalid, fault);
            return;
        }

        var set = Event(context, TransferAudit.OpeningBalanceSet, exporter, request.Year, request.Counter!) with
        {
            Payload = context.PayloadHash(), Reason = request.Source, Details = new Dictionary<string, string> { ["count"] = request.Count!.Value.ToString(CultureInfo.InvariantCulture) },
        };
        await AuditedChange.RunAsync(
            journal, LedgerQuestion.OpeningSet(exporter.Id, request.Year, request.Counter!, request.Count!.Value), [set],
            async _ =>
            {
                await ledger.SetOpeningBalanceAsync(exporter.Id, request.Year, request.Counter!, request.Count!.Value, request.Source!, context.RequestAborted);
                return true;
            },
            context.RequestAborted);
        Log.Set(logger, exporter.Id, request.Year, request.Counter!, request.Count.Value, context.Principal());
        await context.WriteJsonAsync(
            new OpeningBalancesView(exporter.Id, await ledger.ReadOpeningBalancesAsync(exporter.Id, context.RequestAborted)), TransfersJson.Default.OpeningBalancesView);
    });

    internal static AuditEvent Event(HttpContext context, AuditKind kind, Exporter exporter, int year, string counter) => TransferAudit.By(
        context, kind, new("openingBalance", string.Create(CultureInfo.InvariantCulture, $"{exporter.Id}/{year}/{counter}"))) with { Exporter = exporter.Id };

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Information, "The opening balance of {Exporter} for {Year}, {Counter}, is {Count}, says {Principal}")]
        public static partial void Set(ILogger logger, string exporter, int year, string counter, long count, string? principal);
    }
}

/// <summary><c>DELETE transfers/opening-balances?exporter=&amp;year=&amp;counter=</c>: takes a count from before DingFlow back, for instance after its records were sent.</summary>
public sealed partial class RemoveOpeningBalance(
    TransfersOptions options, SubjectLedger ledger, ChangeJournal journal, TimeProvider time, ILogger<RemoveOpeningBalance> logger) : IHttpFunction
{
    /// <inheritdoc/>
    public Task InvokeAsync(HttpContext context) => context.GuardLedgerAsync(async () =>
    {
        if (await context.ExporterAsync(options, context.Request.Query["exporter"]) is not { } exporter || await context.YearAsync(time) is not { } year)
        {
            return;
        }

        var counter = context.Request.Query["counter"].ToString();
        var known = await ledger.ReadOpeningBalancesAsync(exporter.Id, context.RequestAborted);
        if (!known.Any(balance => balance.Year == year && balance.Counter.Equals(counter, StringComparison.Ordinal)))
        {
            await context.ProblemAsync(ProblemCode.NotFound, string.Create(CultureInfo.InvariantCulture, $"There is no such opening balance in {year}."));
            return;
        }

        await AuditedChange.RunAsync(
            journal, LedgerQuestion.OpeningRemoved(exporter.Id, year, counter), [SetOpeningBalance.Event(context, TransferAudit.OpeningBalanceRemoved, exporter, year, counter)],
            _ => ledger.RemoveOpeningBalanceAsync(exporter.Id, year, counter, context.RequestAborted), context.RequestAborted);
        Log.Removed(logger, exporter.Id, year, counter, context.Principal());
        context.Response.StatusCode = StatusCodes.Status204NoContent;
    });

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Information, "The opening balance of {Exporter} for {Year}, {Counter}, was taken back by {Principal}")]
        public static partial void Removed(ILogger logger, string exporter, int year, string counter, string? principal);
    }
}

/// <summary>A count from before DingFlow, as it is entered.</summary>
internal sealed record OpeningBalanceRequest(string? Exporter, int Year, string? Counter, long? Count, string? Source);

/// <summary>The counts of an exporter from before DingFlow.</summary>
internal sealed record OpeningBalancesView(string Exporter, IReadOnlyList<OpeningBalance> OpeningBalances);
