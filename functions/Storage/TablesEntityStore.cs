using System.Runtime.CompilerServices;
using System.Text;
using Azure;
using Azure.Core;
using Azure.Core.Pipeline;
using Azure.Data.Tables;
using Azure.Data.Tables.Models;
using Azure.Identity;

namespace DingFlow.Storage;

/// <summary>Entities in Azure Table Storage.</summary>
/// <remarks>
/// <para>
/// <b>A lost answer is never taken for a refusal.</b> A write that got no clear answer may have been applied; when it is sent again,
/// the service can refuse it (exists, changed, gone) because of the first attempt. Therefore the SDK's own retries are off for writes.
/// This class retries them, and remembers whether an earlier attempt of the same write might have been applied: a refusal after such
/// an attempt is an <see cref="EntityStoreException"/>, and the caller settles it by reading. A commit after such an attempt is a
/// commit: inserts and conditional operations can succeed only once, and the others are free to be repeated.
/// </para>
/// <para>
/// The alternative, a marker property in every row that says which write it came from, was left: it costs a property and bytes in each
/// row, and still cannot tell when somebody else wrote the row in between.
/// </para>
/// </remarks>
public sealed class TablesEntityStore : IEntityStore, IStoredRows, IDisposable
{
    private const int Attempts = 4;
    private static readonly TimeSpan BaseDelay = TimeSpan.FromMilliseconds(200);
    private static readonly TimeSpan MaximumDelay = TimeSpan.FromSeconds(5);

    private readonly TablesOptions _options;
    private readonly TimeProvider _timeProvider;
    private readonly Lazy<Services> _services;

    /// <summary>Creates the store; it connects on first use.</summary>
    public TablesEntityStore(TablesOptions options, Lazy<TokenCredential> credential, TimeProvider timeProvider)
        : this(options, credential, timeProvider, null) { }

    /// <summary>With another transport, for tests.</summary>
    internal TablesEntityStore(
        TablesOptions options, Lazy<TokenCredential> credential, TimeProvider timeProvider, HttpPipelineTransport? transport)
    {
        _options = options;
        _timeProvider = timeProvider;
        _services = new(() => Services.Connect(options, credential, transport));
    }

    /// <inheritdoc/>
    public async Task<Entity?> GetAsync(string table, string partitionKey, string rowKey, CancellationToken cancellationToken)
    {
        EntityCheck.Table(table);
        EntityCheck.Keys(partitionKey, rowKey);
        try
        {
            var answer = await Reader(table)
                .GetEntityIfExistsAsync<TableEntity>(partitionKey, rowKey, cancellationToken: cancellationToken);
            return answer.HasValue ? TablesEntityMapping.FromTable(answer.Value!) : null;
        }
        catch (Exception fault) when (IsStoreTrouble(fault, cancellationToken))
        {
            throw Trouble("could not be read", fault);
        }
    }

    /// <inheritdoc/>
    public async Task<EntityPage> QueryAsync(
        string table, string partitionKey, RowKeyRange range, int pageSize, string? continuation, CancellationToken cancellationToken)
    {
        var bounds = EntityCheck.Query(table, partitionKey, range, pageSize);
        var token = continuation is null ? null : TablesContinuation.Decode(continuation);
        try
        {
            var pages = Reader(table)
                .QueryAsync<TableEntity>(Filter(partitionKey, bounds), pageSize, cancellationToken: cancellationToken)
                .AsPages(token, pageSize);
            await foreach (var page in pages)
            {
                return new(
                    [.. page.Values.Select(TablesEntityMapping.FromTable)],
                    string.IsNullOrEmpty(page.ContinuationToken) ? null : TablesContinuation.Encode(page.ContinuationToken));
            }
        }
        catch (RequestFailedException fault) when (fault.Status == 404)
        {
            // No such table yet: an empty one.
        }
        catch (Exception fault) when (IsStoreTrouble(fault, cancellationToken))
        {
            throw Trouble("could not be read", fault);
        }

        return new([], null);
    }

    /// <inheritdoc/>
    public async Task<TransactionResult> SubmitAsync(EntityTransaction transaction, CancellationToken cancellationToken)
    {
        EntityCheck.Transaction(transaction);
        return await WriteAsync(transaction, cancellationToken);
    }

    /// <inheritdoc/>
    public async Task<IReadOnlyList<TransactionResult>> SubmitManyAsync(
        IReadOnlyList<EntityTransaction> transactions, CancellationToken cancellationToken)
    {
        foreach (var transaction in transactions)
        {
            EntityCheck.Transaction(transaction);
        }

        var results = new TransactionResult[transactions.Count];
        var parallel = new ParallelOptions { MaxDegreeOfParallelism = _options.Parallelism, CancellationToken = cancellationToken };
        await Parallel.ForEachAsync(Enumerable.Range(0, transactions.Count), parallel, async (index, _) =>
        {
            // The caller's token, not the loop's: trouble with one transaction must not cut off those under way.
            results[index] = await WriteAsync(transactions[index], cancellationToken);
        });
        return results;
    }

    /// <inheritdoc/>
    async IAsyncEnumerable<StoredRow> IStoredRows.ReadAllAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        // Not "await foreach" around the yield: trouble must become ours, and a yield cannot stand within a try that catches.
        List<string> tables = [];
        try
        {
            await foreach (var table in _services.Value.Reader.QueryAsync(cancellationToken: cancellationToken))
            {
                tables.Add(table.Name);
            }
        }
        catch (Exception fault) when (IsStoreTrouble(fault, cancellationToken))
        {
            throw Trouble("could not be read", fault);
        }

        foreach (var table in tables)
        {
            await using var pages = Reader(table).QueryAsync<TableEntity>(cancellationToken: cancellationToken).AsPages().GetAsyncEnumerator(cancellationToken);
            while (await NextAsync(pages, cancellationToken) is { } page)
            {
                foreach (var row in page.Values)
                {
                    yield return new(table.ToLowerInvariant(), TablesEntityMapping.FromTable(row));
                }
            }
        }
    }

    /// <summary>Lets go of the connections.</summary>
    public void Dispose()
    {
        if (_services.IsValueCreated)
        {
            _services.Value.Dispose();
        }
    }

    private async Task<TransactionResult> WriteAsync(EntityTransaction transaction, CancellationToken cancellationToken)
    {
        var table = _services.Value.Writer.GetTableClient(NameOf(transaction.Table));
        var mayBeApplied = false;
        for (var attempt = 1; ; attempt++)
        {
            TimeSpan? retryAfter;
            try
            {
                return await TablesWrite.SendAsync(table, transaction.Operations, cancellationToken);
            }
            catch (Exception fault) when (IsStoreTrouble(fault, cancellationToken))
            {
                var failure = TablesFailure.Of(fault);
                if (failure.Kind == TablesFailureKind.NoTable)
                {
                    if (!transaction.Operations.Any(operation => operation.Kind is EntityOperationKind.Insert or EntityOperationKind.Upsert))
                    {
                        return new(TransactionOutcome.NotFound, 0, []);
                    }

                    if (attempt < Attempts)
                    {
                        await CreateTableAsync(table, cancellationToken);
                        continue;
                    }
                }

                if (failure.Outcome is { } outcome)
                {
                    return mayBeApplied
                        ? throw Trouble("lost the answer to a write, and refuses its repetition: whether it was applied must be read", fault)
                        : new(outcome, failure.Index, []);
                }

                mayBeApplied |= failure.Kind == TablesFailureKind.Unknown;
                if (failure.Kind is TablesFailureKind.Permanent or TablesFailureKind.NoTable || attempt == Attempts)
                {
                    throw Trouble(mayBeApplied ? "gave no clear answer to a write, which may have been applied" : "refused a write", fault);
                }

                retryAfter = failure.RetryAfter;
            }

            await Task.Delay(Delay(attempt, retryAfter), _timeProvider, cancellationToken);
        }
    }

    private static async Task<Page<TableEntity>?> NextAsync(IAsyncEnumerator<Page<TableEntity>> pages, CancellationToken cancellationToken)
    {
        try
        {
            return await pages.MoveNextAsync() ? pages.Current : null;
        }
        catch (Exception fault) when (IsStoreTrouble(fault, cancellationToken))
        {
            throw Trouble("could not be read", fault);
        }
    }

    private TableClient Reader(string table) => _services.Value.Reader.GetTableClient(NameOf(table));

    /// <summary>Azure ignores the case of table names, Azurite does not.</summary>
    private static string NameOf(string table) => table.ToLowerInvariant();

    private async Task CreateTableAsync(TableClient table, CancellationToken cancellationToken)
    {
        try
        {
            // The reader retries by itself, and making a table twice does no harm. Not CreateIfNotExists: that serialises JSON by
            // reflection, which the program has switched off.
            await Reader(table.Name).CreateAsync(cancellationToken);
        }
        catch (RequestFailedException fault) when (fault.ErrorCode == TableErrorCode.TableAlreadyExists)
        {
            // Somebody else was faster, or the answer to our own first attempt was lost.
        }
        catch (Exception fault) when (IsStoreTrouble(fault, cancellationToken))
        {
            throw Trouble("could not make a table", fault);
        }
    }

    private static TimeSpan Delay(int attempt, TimeSpan? retryAfter)
    {
        var ceiling = Math.Min(BaseDelay.TotalMilliseconds * Math.Pow(2, attempt - 1), MaximumDelay.TotalMilliseconds);
        var jittered = TimeSpan.FromMilliseconds(ceiling * (0.5 + (Random.Shared.NextDouble() / 2)));
        return retryAfter is { } asked && asked > jittered ? TimeSpan.FromTicks(Math.Min(asked.Ticks, MaximumDelay.Ticks)) : jittered;
    }

    private static string Filter(string partitionKey, RowKeyRange range)
    {
        var filter = new StringBuilder(TableClient.CreateQueryFilter($"PartitionKey eq {partitionKey}"));
        if (range.From is { } from)
        {
            filter.Append(" and ").Append(TableClient.CreateQueryFilter($"RowKey ge {from}"));
        }

        if (range.Before is { } before)
        {
            filter.Append(" and ").Append(TableClient.CreateQueryFilter($"RowKey lt {before}"));
        }

        return filter.ToString();
    }

    /// <summary>Anything that the service, the network or the sign-in did; not a fault of this program, not the caller giving up.</summary>
    private static bool IsStoreTrouble(Exception fault, CancellationToken cancellationToken) => fault switch
    {
        OperationCanceledException => !cancellationToken.IsCancellationRequested,
        RequestFailedException or HttpRequestException or IOException or AggregateException or AuthenticationFailedException => true,
        _ => false,
    };

    private static EntityStoreException Trouble(string what, Exception fault)
    {
        // The status and the service's code only: its texts may repeat keys.
        var failed = fault as RequestFailedException ?? (fault as AggregateException)?.InnerExceptions.OfType<RequestFailedException>().LastOrDefault();
        var reason = failed is { Status: > 0 } ? $"{failed.Status} {failed.ErrorCode}".TrimEnd() : "no answer";
        var advice = failed is { Status: 403 } ? "; the identity needs the role Storage Table Data Contributor" : "";
        return new($"Table Storage {what} ({reason}{advice}).", fault);
    }

    private sealed record Services(TableServiceClient Reader, TableServiceClient Writer, HttpPipelineTransport Transport) : IDisposable
    {
        [MethodImpl(MethodImplOptions.NoInlining)]
        public static Services Connect(TablesOptions options, Lazy<TokenCredential> credential, HttpPipelineTransport? transport)
        {
            transport ??= new HttpClientTransport();
            return new(Client(options, credential, transport, retries: 3), Client(options, credential, transport, retries: 0), transport);
        }

        public void Dispose() => (Transport as IDisposable)?.Dispose();

        private static TableServiceClient Client(
            TablesOptions options, Lazy<TokenCredential> credential, HttpPipelineTransport transport, int retries)
        {
            var clientOptions = new TableClientOptions { Transport = transport };
            clientOptions.Retry.MaxRetries = retries;
            clientOptions.Retry.Delay = BaseDelay;
            clientOptions.Retry.MaxDelay = MaximumDelay;
            clientOptions.Retry.NetworkTimeout = options.AttemptTimeout;
            // Addresses carry partition and row keys.
            clientOptions.Diagnostics.IsLoggingEnabled = false;
            if (options.ServiceUri is not { } uri)
            {
                return new(options.ConnectionString, clientOptions);
            }

            if (uri.Host.EndsWith(".chinacloudapi.cn", StringComparison.OrdinalIgnoreCase))
            {
                clientOptions.Audience = TableAudience.AzureChina;
            }

            return new(uri, credential.Value, clientOptions);
        }
    }
}
