using System.Text.Json.Serialization;
using DingFlow.Hosting;

namespace DingFlow.Transfers;

/// <summary>Why a batch was not read to its end. What was read before is recorded; the rest is for the sender to send.</summary>
public enum BatchStop
{
    /// <summary>It was read to its end.</summary>
    None,

    /// <summary>The text between records is no JSON array from here on.</summary>
    Malformed,

    /// <summary>The compressed body is damaged or ends early.</summary>
    Damaged,

    /// <summary>It has more records than <c>Transfers:MaxBatchRecords</c>.</summary>
    RecordLimit,

    /// <summary>It expands to more bytes than <c>Transfers:MaxExpandedBytes</c>.</summary>
    ExpandedLimit,

    /// <summary>Its body is larger than <c>Transfers:MaxBodyBytes</c>.</summary>
    BodyLimit,

    /// <summary>It took longer than <c>Transfers:BatchTime</c>.</summary>
    TimeLimit,
}

/// <summary>How a batch was taken in: the answer of <c>POST /api/transfers</c>. Everything that it calls accepted is durable.</summary>
public sealed record TransferReceipt
{
    /// <summary>How many rejections are listed.</summary>
    public const int ListedRejections = 1000;

    /// <summary>Our id of the batch, for <c>transfers/batches/{id}</c>: 32 hexadecimal digits; the same when the batch is sent again.</summary>
    public required string BatchId { get; init; }

    /// <summary>Records that were recorded now.</summary>
    public required long Accepted { get; init; }

    /// <summary>Records whose id stood in the batch before, or that were recorded when the batch was sent before.</summary>
    public required long Duplicates { get; init; }

    /// <summary>Records that were refused, the first thousand in their order.</summary>
    public required IReadOnlyList<RejectedRecord> Rejected { get; init; }

    /// <summary>How many were refused in all.</summary>
    public required long RejectedCount { get; init; }

    /// <summary>How many records were read: with an incomplete batch, the index of the first that is still to be sent.</summary>
    public required long Read { get; init; }

    /// <summary>The batch was read to its end.</summary>
    public bool Complete => Stopped == BatchStop.None;

    /// <summary>Why it was not.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public BatchStop Stopped { get; init; }

    /// <summary>The problem that a batch of which nothing could be read is.</summary>
    internal ProblemCode Problem => Stopped switch
    {
        BatchStop.BodyLimit or BatchStop.ExpandedLimit => ProblemCode.TooLarge,
        BatchStop.TimeLimit => ProblemCode.TimedOut,
        _ => ProblemCode.Malformed,
    };

    /// <summary>The same for people.</summary>
    internal string ProblemDetail => Stopped switch
    {
        BatchStop.Malformed => "No record could be read: the body is not what its content type says (a JSON array, or a record), ends within the first record, or is not UTF-8.",
        BatchStop.Damaged => "No record could be read: the compressed body is damaged, ends early, or is no gzip.",
        _ => $"No record could be read: {RecordRefusal.Kebab(Stopped.ToString())}.",
    };

    /// <summary>Accepted records that a person should look at, by what is to be looked at, such as <c>unknownRecipient</c>.</summary>
    public required IReadOnlyDictionary<string, long> Notices { get; init; }

    /// <summary>Names of fields that are in no map, at most a hundred: they count as sensitive until they are mapped.</summary>
    public required IReadOnlyCollection<string> UnknownFields { get; init; }
}

/// <summary>A record that was refused.</summary>
/// <param name="Index">Which record of the batch, from 0.</param>
/// <param name="Code">Why, as a code that never changes meaning.</param>
/// <param name="Message">The same for people. Repeats nothing personal.</param>
public sealed record RejectedRecord(long Index, string Code, string Message);
