using System.Text.Json.Serialization;
using DingFlow.Remote;

namespace DingFlow.Offboarding;

/// <summary>Where something that a step concerns stands.</summary>
public enum ChangeState
{
    /// <summary>Held when the step began and to be taken away.</summary>
    Planned,

    /// <summary>Taken away by this case.</summary>
    Taken,

    /// <summary>Left with the person, for the reason given.</summary>
    Kept,

    /// <summary>Given back by reactivation, and read back.</summary>
    GivenBack,

    /// <summary>Could not be given back, for the reason given.</summary>
    NotGivenBack,
}

/// <summary>One thing that a step concerns: a membership, a role, a licence, a device, a task. No personal data.</summary>
public sealed record StepChange
{
    /// <summary>What it is, in the remote's terms; the same before it is taken and after it is given back.</summary>
    public required string Id { get; init; }

    /// <summary>Its name, for people.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Name { get; init; }

    /// <summary>Where it stands.</summary>
    public ChangeState State { get; init; }

    /// <summary>Why it was kept or not given back, or who has it now.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public string? Note { get; init; }

    /// <summary>What is needed to take it away or give it back, by name.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public IReadOnlyDictionary<string, string>? Data { get; init; }

    /// <summary>A call to take it away was sent, or was about to be.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingDefault)]
    public bool Sent { get; init; }

    /// <summary>This case took it away or may have.</summary>
    [JsonIgnore]
    public bool MayBeTaken => State == ChangeState.Taken || (State == ChangeState.Planned && Sent);
}

/// <summary>What a person holds that a step concerns.</summary>
/// <param name="Result">Whether it could be listed.</param>
/// <param name="Held">What is held; that with the state <see cref="ChangeState.Kept"/> is not to be taken away.</param>
public sealed record AccessList(RemoteResult Result, IReadOnlyList<StepChange> Held)
{
    /// <summary>Why a person must act before anything can be taken away.</summary>
    public string? Blocked { get; init; }

    /// <summary>What is to be taken away.</summary>
    public IEnumerable<StepChange> ToTake => Held.Where(h => h.State != ChangeState.Kept);

    /// <summary>A list that could not be had.</summary>
    public static AccessList Failed(RemoteResult result) => new(result, []);
}

/// <summary>A step that takes away, one by one, what a person holds in a system: it is listed, taken, listed again.</summary>
public interface IAccessStep
{
    /// <summary>Its id in the catalogue.</summary>
    string Id { get; }

    /// <summary>Lists what the account holds now.</summary>
    Task<AccessList> ListAsync(CaseAccount account, StepRules rules, CancellationToken cancellationToken);

    /// <summary>Takes one away. Doing it again is safe.</summary>
    Task<StepResult> TakeAsync(CaseAccount account, StepChange held, StepRules rules, CancellationToken cancellationToken);

    /// <summary>Gives one back; <see langword="null"/>: it cannot be, the catalogue says why.</summary>
    Task<StepResult>? GiveBackAsync(CaseAccount account, StepChange taken, StepRules rules, CancellationToken cancellationToken);
}
