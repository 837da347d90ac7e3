namespace DingFlow.Messaging;

/// <summary>How much an alert matters.</summary>
public enum AlertSeverity
{
    /// <summary>Good to know.</summary>
    Information,

    /// <summary>Somebody should look today.</summary>
    Warning,

    /// <summary>Somebody must act now.</summary>
    Critical,
}

/// <summary>Something that people must learn of. Whoever has one enqueues it to <see cref="Queues.Alerts"/>; the Alerts feature delivers it.</summary>
public sealed record AlertMessage
{
    /// <summary>Deterministic: the same trouble has the same id, so that it is told once.</summary>
    public required string AlertId { get; init; }

    /// <summary>Dotted type, such as <c>offboarding.needs_human</c>; the documentation lists them.</summary>
    public required string Type { get; init; }

    /// <summary>How much it matters.</summary>
    public required AlertSeverity Severity { get; init; }

    /// <summary>When it arose.</summary>
    public required DateTimeOffset OccurredAt { get; init; }

    /// <summary>One sentence in plain English, without personal data but the employee id.</summary>
    public required string Summary { get; init; }

    /// <summary>The case, exporter, source or queue it is about.</summary>
    public string? About { get; init; }

    /// <summary>Further facts, without personal data. <c>exporter</c> is the exporter that it is about, if it is about one.</summary>
    public IReadOnlyDictionary<string, string> Details { get; init; } = new Dictionary<string, string>();

    /// <summary>Documents that go with it, to channels that can carry them. A message of the queue names them; their content is kept apart.</summary>
    public IReadOnlyList<AlertDocument> Documents { get; init; } = [];

    /// <summary>Alerts that tell of the same thing at different heights; <see langword="null"/> for one by itself.</summary>
    public string? Series { get; init; }

    /// <summary>The height within <see cref="Series"/>: a higher alert takes the place of lower ones.</summary>
    public int Rank { get; init; }
}

/// <summary>Sends an alert on its way. It is durable when the call returns.</summary>
public interface IAlertSender
{
    /// <summary>Enqueues the alert under its own id.</summary>
    Task SendAsync(AlertMessage alert, CancellationToken cancellationToken);
}

/// <summary>A document that goes with an alert, without its content (<see cref="IAlertDocuments"/>).</summary>
/// <param name="Name">The name of its file, such as <c>permissions-2026-11.csv</c>.</param>
/// <param name="MediaType">Its media type, without parameters.</param>
/// <param name="Bytes">Its size.</param>
/// <param name="Sha256">The hash of its content, lower-case hex.</param>
/// <param name="Source">Where whoever signs in gets it: an address, or the path of a management route.</param>
public sealed record AlertDocument(string Name, string MediaType, long Bytes, string Sha256, string Source);

/// <summary>
/// Keeps the content of documents that go with alerts, as long as their alert is kept: a message of the queue holds 256 KB, and an attempt
/// to deliver may come days later, on another instance.
/// </summary>
public interface IAlertDocuments
{
    /// <summary>The largest document that is kept; a larger one is named only, and had at its source.</summary>
    const int MaximumBytes = 16 * 1024 * 1024;

    /// <summary>Keeps a document of the alert of this id, before the alert is sent. The same content may be kept again.</summary>
    Task<AlertDocument> KeepAsync(
        string alertId, string name, string mediaType, ReadOnlyMemory<byte> content, string source, CancellationToken cancellationToken);

    /// <summary>The content; <see langword="null"/> when it is not kept, not any more, or is not what the alert names.</summary>
    Task<byte[]?> FindAsync(string alertId, AlertDocument document, CancellationToken cancellationToken);
}
