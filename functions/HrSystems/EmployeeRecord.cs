namespace DingFlow.HrSystems;

/// <summary>Whether a person works, as an HR system says.</summary>
internal enum EmploymentState
{
    /// <summary>The answer does not say; our access may not show it.</summary>
    Unknown,

    /// <summary>The person works here.</summary>
    Employed,

    /// <summary>The person works here, and is absent for longer: parental leave, sabbatical.</summary>
    OnLeave,

    /// <summary>The person does not work here any more, or is on garden leave until the last day.</summary>
    Ended,
}

/// <summary>What an HR system knows of a person, as far as it matters here. Personal data: never in a log.</summary>
internal sealed record EmployeeRecord
{
    /// <summary>Whether the person works.</summary>
    public required EmploymentState State { get; init; }

    /// <summary>When the employment ends or ended, if that is entered.</summary>
    public DateTimeOffset? EndsAt { get; init; }

    /// <summary>The company e-mail address.</summary>
    public string? Email { get; init; }

    /// <summary>The number by which other systems know the person; not the HR system's own id.</summary>
    public string? EmployeeNumber { get; init; }

    /// <summary>Nothing of the content.</summary>
    public override string ToString() => nameof(EmployeeRecord);
}
