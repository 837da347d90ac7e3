using System.Globalization;
using System.Text;
using Azure;
using Azure.Data.Tables;
using Azure.Data.Tables.Models;

namespace DingFlow.Storage;

/// <summary>Sends one transaction, once.</summary>
internal static class TablesWrite
{
    /// <summary>Applies the operations; a refusal or trouble is an exception that <see cref="TablesFailure"/> explains.</summary>
    public static async Task<TransactionResult> SendAsync(
        TableClient table, IReadOnlyList<EntityOperation> operations, CancellationToken cancellationToken)
    {
        if (operations.Count == 1)
        {
            // A transaction of one costs the same to Azure but more to encode, and most writes are one.
            return await SendOneAsync(table, operations[0], cancellationToken);
        }

        var answer = await table.SubmitTransactionAsync(operations.Select(Action), cancellationToken);
        var etags = new string?[operations.Count];
        for (var i = 0; i < etags.Length; i++)
        {
            etags[i] = operations[i].Kind == EntityOperationKind.Delete ? null : ETagOf(answer.Value[i]);
        }

        return new(TransactionOutcome.Committed, -1, etags);
    }

    private static async Task<TransactionResult> SendOneAsync(TableClient table, EntityOperation operation, CancellationToken cancellationToken)
    {
        var condition = Condition(operation);
        using var answer = operation.Kind switch
        {
            EntityOperationKind.Insert => await table.AddEntityAsync(TablesEntityMapping.ToTable(operation.Entity), cancellationToken),
            EntityOperationKind.Replace => await table.UpdateEntityAsync(
                TablesEntityMapping.ToTable(operation.Entity), condition, TableUpdateMode.Replace, cancellationToken),
            EntityOperationKind.Upsert => await table.UpsertEntityAsync(
                TablesEntityMapping.ToTable(operation.Entity), TableUpdateMode.Replace, cancellationToken),
            EntityOperationKind.Delete => await table.DeleteEntityAsync(
                operation.Entity.PartitionKey, operation.Entity.RowKey, condition, cancellationToken),
            _ => throw new InvalidOperationException($"Unknown operation {operation.Kind}."),
        };

        // The SDK does not throw for the deletion of what is not there.
        if (answer.Status == 404)
        {
            throw new RequestFailedException(answer);
        }

        return new(TransactionOutcome.Committed, -1, [operation.Kind == EntityOperationKind.Delete ? null : ETagOf(answer)]);
    }

    private static TableTransactionAction Action(EntityOperation operation) => operation.Kind switch
    {
        EntityOperationKind.Insert => new(TableTransactionActionType.Add, TablesEntityMapping.ToTable(operation.Entity)),
        EntityOperationKind.Replace =>
            new(TableTransactionActionType.UpdateReplace, TablesEntityMapping.ToTable(operation.Entity), Condition(operation)),
        EntityOperationKind.Upsert => new(TableTransactionActionType.UpsertReplace, TablesEntityMapping.ToTable(operation.Entity)),
        EntityOperationKind.Delete => new(
            TableTransactionActionType.Delete, new TableEntity(operation.Entity.PartitionKey, operation.Entity.RowKey), Condition(operation)),
        _ => throw new InvalidOperationException($"Unknown operation {operation.Kind}."),
    };

    private static ETag Condition(EntityOperation operation) => operation.IfMatch is { } etag ? new(etag) : ETag.All;

    private static string ETagOf(Response answer) => answer.Headers.ETag?.ToString()
        ?? throw new EntityStoreException("Table Storage answered a write without an ETag.");
}

/// <summary>Translates rows.</summary>
internal static class TablesEntityMapping
{
    public static TableEntity ToTable(Entity entity)
    {
        var row = new TableEntity(entity.PartitionKey, entity.RowKey);
        foreach (var (name, value) in entity.Properties)
        {
            switch (value)
            {
                case null:
                    break;
                case DateTimeOffset moment:
                    row[name] = moment.ToUniversalTime();
                    break;
                case double number when double.IsInfinity(number):
                    // The SDK would write a number, which JSON has not; the service takes the word with its type.
                    row[name] = number > 0 ? "Infinity" : "-Infinity";
                    row[$"{name}@odata.type"] = "Edm.Double";
                    break;
                default:
                    row[name] = value;
                    break;
            }
        }

        return row;
    }

    public static Entity FromTable(TableEntity row)
    {
        var properties = new EntityProperties();
        foreach (var (name, value) in row)
        {
            if (name is "PartitionKey" or "RowKey" or "Timestamp" || name.StartsWith("odata.", StringComparison.Ordinal) || value is null)
            {
                continue;
            }

            properties[name] = value switch
            {
                DateTimeOffset moment => moment.ToUniversalTime(),
                DateTime moment => new DateTimeOffset(DateTime.SpecifyKind(moment, DateTimeKind.Utc)),
                BinaryData binary => binary.ToArray(),
                _ => value,
            };
        }

        return new(row.PartitionKey, row.RowKey) { Properties = properties, ETag = row.ETag.ToString() };
    }
}

/// <summary>Wraps the service's continuation token, so that nobody relies on what is in it.</summary>
internal static class TablesContinuation
{
    private const string Version = "t1.";

    public static string Encode(string token) => Version + System.Buffers.Text.Base64Url.EncodeToString(Encoding.UTF8.GetBytes(token));

    /// <exception cref="ArgumentException">It did not come from this store.</exception>
    public static string Decode(string continuation)
    {
        if (continuation.StartsWith(Version, StringComparison.Ordinal))
        {
            try
            {
                return Encoding.UTF8.GetString(System.Buffers.Text.Base64Url.DecodeFromChars(continuation.AsSpan(Version.Length)));
            }
            catch (FormatException)
            {
                // Falls through to the one refusal below.
            }
        }

        throw new ArgumentException("The continuation was not returned by this store.", nameof(continuation));
    }
}

/// <summary>What a failed write tells.</summary>
internal enum TablesFailureKind
{
    /// <summary>A row was not as the transaction wanted it; nothing was applied.</summary>
    Refused,

    /// <summary>The table is not there; nothing was applied.</summary>
    NoTable,

    /// <summary>Nothing was applied, and trying again may help.</summary>
    NotApplied,

    /// <summary>It may have been applied or not.</summary>
    Unknown,

    /// <summary>Nothing was applied, and trying again will not help.</summary>
    Permanent,
}

/// <summary>What a failed write tells, read from the exception.</summary>
internal sealed record TablesFailure(TablesFailureKind Kind, TransactionOutcome? Outcome = null, int Index = -1, TimeSpan? RetryAfter = null)
{
    public static TablesFailure Of(Exception exception) => exception switch
    {
        RequestFailedException { Status: > 0 } answered => OfAnswer(answered),
        RequestFailedException { InnerException: { } inner } => Of(inner),
        AggregateException { InnerExceptions.Count: > 0 } several => Of(several.InnerExceptions[^1]),
        HttpRequestException { HttpRequestError: HttpRequestError.NameResolutionError or HttpRequestError.ConnectionError
            or HttpRequestError.SecureConnectionError or HttpRequestError.ProxyTunnelError } => new(TablesFailureKind.NotApplied),
        RequestFailedException or HttpRequestException or IOException or OperationCanceledException => new(TablesFailureKind.Unknown),
        // What is left failed before anything was sent: there is no token.
        _ => new(TablesFailureKind.Permanent),
    };

    private static TablesFailure OfAnswer(RequestFailedException fault)
    {
        var code = fault.ErrorCode;
        var index = (fault as TableTransactionFailedException)?.FailedTransactionActionIndex ?? 0;
        var retryAfter = RetryAfterOf(fault);
        return fault.Status switch
        {
            404 when code == TableErrorCode.TableNotFound => new(TablesFailureKind.NoTable),
            409 when code == TableErrorCode.EntityAlreadyExists => new(TablesFailureKind.Refused, TransactionOutcome.AlreadyExists, index),
            404 => new(TablesFailureKind.Refused, TransactionOutcome.NotFound, index),
            412 => new(TablesFailureKind.Refused, TransactionOutcome.ETagMismatch, index),
            // Throttled: turned away before any work was done.
            429 => new(TablesFailureKind.NotApplied, RetryAfter: retryAfter),
            503 when code == "ServerBusy" => new(TablesFailureKind.NotApplied, RetryAfter: retryAfter),
            // OperationTimedOut says itself that it may have succeeded; the others promise nothing.
            408 or >= 500 => new(TablesFailureKind.Unknown, RetryAfter: retryAfter),
            _ => new(TablesFailureKind.Permanent),
        };
    }

    private static TimeSpan? RetryAfterOf(RequestFailedException fault) =>
        fault.GetRawResponse() is { } response
        && response.Headers.TryGetValue("Retry-After", out var text)
        && int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var seconds)
            ? TimeSpan.FromSeconds(seconds)
            : null;
}
