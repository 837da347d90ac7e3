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
