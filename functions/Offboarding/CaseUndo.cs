namespace DingFlow.Offboarding;

/// <summary>Accounts that are given back: by whose word, and how far it is.</summary>
public sealed record CaseUndo
{
    /// <summary>When it was asked for.</summary>
    public required DateTimeOffset RequestedAt { get; init; }

    /// <summary>The principal who asked.</summary>
    public required string RequestedBy { get; init; }

    /// <summary>Why.</summary>
    public required string Reason { get; init; }

    /// <summary>When everything that can be given back was, and was read back; <see langword="null"/> until then.</summary>
    public DateTimeOffset? CompletedAt { get; init; }

    /// <summary>The steps that are undone, the last one done first; what lets the person sign in again comes last.</summary>
    public required IReadOnlyList<CaseStep> Steps { get; init; }

    /// <summary>What could not be given back, and what a person does instead.</summary>
    public IReadOnlyList<string> NotRestored { get; init; } = [];
}
