using System.Globalization;
using System.Text.Json.Serialization;
using DingFlow.Hosting;
using DingFlow.Settings;
using DingFlow.Transfers.Ledger;

namespace DingFlow.Transfers;

/// <summary>What the routes of this feature share.</summary>
internal static class TransferRoutes
{
    /// <summary>Runs a route, and answers what the ledger refuses.</summary>
    public static async Task GuardLedgerAsync(this HttpContext context, Func<Task> route)
    {
        try
        {
            await route();
        }
        catch (LedgerMismatchException exception)
        {
            // Nothing personal is in its message, and whoever reads it must put a setting back.
            await context.ProblemAsync(ProblemCode.Unavailable, exception.Message);
        }
        catch (LedgerRefusalException exception)
        {
            await context.ProblemAsync(
                exception.Reason == LedgerRefusal.UnknownBatch ? ProblemCode.NotFound : ProblemCode.Conflict, ReasonOf(exception.Reason));
        }
        catch (BatchInterruptedException exception)
        {
            await context.ProblemAsync(
                ProblemCode.Unavailable,
                string.Create(CultureInfo.InvariantCulture, $"{exception.Accepted} records are recorded, then the store failed. Send the same batch again: nothing is recorded twice."));
        }
    }

    /// <summary>What is wrong with a request that gives no reason.</summary>
    public const string ReasonWanted = "reason must have 3 to 500 characters.";

    private const int MaximumBody = 4 * 1024;

    /// <summary>A reason that is fit to be kept, or <see langword="null"/>.</summary>
    public static string? ReasonIn(string? text) => text?.Trim() is { Length: >= 3 and <= 500 } reason && !reason.Any(char.IsControl) ? reason : null;

    /// <summary>The reason in a body that holds nothing else; <see langword="null"/> when there is none, which has then been answered.</summary>
    public static async Task<string?> ReasonAsync(this HttpContext context)
    {
        if (await context.ReadJsonAsync(TransfersJson.Default.ReasonRequest, MaximumBody) is not { } request)
        {
            return null;
        }

        if (ReasonIn(request.Reason) is { } reason)
        {
            return reason;
        }

        await context.ProblemAsync(ProblemCode.Malformed, ReasonWanted);
        return null;
    }

    /// <summary>The exporter of the query, or <see langword="null"/>; the problem has then been answered.</summary>
    public static async Task<Exporter?> ExporterAsync(this HttpContext context, TransfersOptions options, string? id)
    {
        if (string.IsNullOrEmpty(id))
        {
            await context.ProblemAsync(ProblemCode.Malformed, "exporter is missing.");
        }
        else if (!options.Exporters.TryGetValue(id, out var exporter))
        {
            await context.ProblemAsync(ProblemCode.UnknownExporter, "No such exporter is configured (Exporters:{id}).");
        }
        else if (!context.MayUseExporter(exporter.Id))
        {
            await context.ProblemAsync(ProblemCode.Forbidden, "The key is confined to other exporters.");
        }
        else
        {
            return exporter;
        }

        return null;
    }

    /// <summary>Whether the caller may report for an exporter, by its id in lower case; asked once per record.</summary>
    public static Func<string, bool> MayReport(this HttpContext context, TransfersOptions options)
    {
        var allowed = options.Exporters.Values.Select(exporter => exporter.Id).Where(context.MayUseExporter).ToHashSet(StringComparer.Ordinal);
        return allowed.Count == options.Exporters.Count ? static _ => true : allowed.Contains;
    }

    /// <summary>The calendar year of the query, by default the present one in Shanghai; <see langword="null"/> when it is none, which has then been answered.</summary>
    public static async Task<int?> YearAsync(this HttpContext context, TimeProvider time)
    {
        var text = context.Request.Query["year"].ToString();
        if (text.Length == 0)
        {
            return LegalTime.YearOf(time.GetUtcNow());
        }

        if (int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var year) && year is >= 2000 and <= 9998)
        {
            return year;
        }

        await context.ProblemAsync(ProblemCode.Malformed, "year must be a calendar year of four digits.");
        return null;
    }

    private static string ReasonOf(LedgerRefusal reason) => reason switch
    {
        LedgerRefusal.BatchVoided => "The batch was voided. Send the corrected records in a batch of their own.",
        LedgerRefusal.UnknownBatch => "There is no such batch, or its records are past their retention.",
        LedgerRefusal.WithinRetention => "Some of the subject's records are still within their retention.",
        LedgerRefusal.SameSubject => "Both identifiers are the same subject already.",
        LedgerRefusal.TooManyVoids => "The exporter has as many voided batches as the ledger remembers.",
        LedgerRefusal.TooManyUnions => "The exporter has as many united identifiers as the ledger remembers.",
        _ => "The ledger refuses.",
    };
}

/// <summary>Why something is done, for the audit.</summary>
internal sealed record ReasonRequest(string? Reason);

/// <summary>JSON of the routes of this feature.</summary>
[JsonSourceGenerationOptions(
    PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase,
    Converters = [typeof(WordConverter<BatchStop>), typeof(WordConverter<BatchState>)])]
[JsonSerializable(typeof(TransferReceipt))]
[JsonSerializable(typeof(CountersView))]
[JsonSerializable(typeof(TransferBatchView))]
[JsonSerializable(typeof(OpeningBalanceRequest))]
[JsonSerializable(typeof(OpeningBalancesView))]
[JsonSerializable(typeof(ReasonRequest))]
[JsonSerializable(typeof(RecountReport))]
[JsonSerializable(typeof(SubjectRequest))]
[JsonSerializable(typeof(SubjectView))]
[JsonSerializable(typeof(UniteRequest))]
[JsonSerializable(typeof(UnionView))]
[JsonSerializable(typeof(ErasureView))]
internal sealed partial class TransfersJson : JsonSerializerContext;
