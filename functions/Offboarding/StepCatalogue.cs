using System.Collections.Frozen;
using System.Text.Json;

namespace DingFlow.Offboarding;

/// <summary>What kind of account a step is for.</summary>
public enum StepAccountKind
{
    /// <summary>A DingTalk account that the organisation owns.</summary>
    Enterprise,

    /// <summary>A DingTalk account that belongs to the person.</summary>
    Ordinary,

    /// <summary>An account in Microsoft Entra.</summary>
    Entra,
}

/// <summary>A step that a plan may have, as <c>Plans/steps.json</c> describes it: what it does, how it is read back, what it needs.</summary>
/// <param name="Id">Such as <c>entra.groups</c>.</param>
/// <param name="Target">The system.</param>
/// <param name="Freezes">It ends access (disable, sign out, remove, revoke): such steps belong to every plan and come first.</param>
/// <param name="Accounts">The kinds of account that it is for.</param>
/// <param name="Documented">Its calls have a page in the vendor's reference; the others are known from the official SDK only.</param>
/// <param name="Does">What it does.</param>
/// <param name="ReadBack">How it is read back.</param>
/// <param name="Undo">How it is undone; <see langword="null"/> when it cannot be.</param>
/// <param name="UndoNote">Why it cannot be undone and what a person does instead.</param>
/// <param name="Permissions">The least permissions that it needs, undoing included.</param>
/// <param name="Needs">The edition or product that the tenant must have.</param>
/// <param name="Operations">The calls that change something, by the sandbox's names.</param>
/// <param name="Parameters">The parameters that a plan may give it.</param>
/// <param name="EndsWithAccount">What it takes away goes with the account; otherwise something stays behind when the account is gone.</param>
public sealed record StepDefinition(
    string Id, FreezeTarget Target, bool Freezes, IReadOnlyList<StepAccountKind> Accounts, bool Documented, string Does, string ReadBack, string? Undo,
    string? UndoNote, IReadOnlyList<string> Permissions, string? Needs, IReadOnlyList<string> Operations, IReadOnlyList<string> Parameters, bool EndsWithAccount)
{
    /// <summary>The step is for this account.</summary>
    public bool IsFor(CaseAccount account) => Target == account.Target && Accounts.Contains(
        account.Target == FreezeTarget.Entra ? StepAccountKind.Entra : account.IsEnterprise ? StepAccountKind.Enterprise : StepAccountKind.Ordinary);
}

/// <summary>Every step there is. The documentation, the rehearsal and the infrastructure read the same file.</summary>
public static class StepCatalogue
{
    private const string File = "Offboarding/Plans/steps.json";
    private static readonly Lazy<(FrozenDictionary<string, StepDefinition> Steps, IReadOnlyList<StepDefinition> InOrder, FrozenDictionary<FreezeTarget, IReadOnlyList<string>> LookUp)> Loaded = new(Load);

    /// <summary>The steps in the order in which the file has them.</summary>
    public static IReadOnlyList<StepDefinition> All => Loaded.Value.InOrder;

    /// <summary>The permissions that finding a person's account needs, whatever the plan.</summary>
    public static IReadOnlyList<string> LookUpPermissions(FreezeTarget target) => Loaded.Value.LookUp[target];

    /// <summary>The step with this id, or <see langword="null"/>.</summary>
    public static StepDefinition? Find(string id) => Loaded.Value.Steps.GetValueOrDefault(id);

    /// <summary>The step ends access; an id that this version does not know does not.</summary>
    public static bool Freezes(string id) => Find(id)?.Freezes == true;

    /// <summary>What the step takes away goes with the account.</summary>
    public static bool EndsWithAccount(string id) => Find(id)?.EndsWithAccount != false;

    /// <summary>What people are told of a step that an account left undone.</summary>
    public const string LeftBehind = "The account is gone, and what this step is for does not go with it: it was not done. Do it by hand.";

    private static (FrozenDictionary<string, StepDefinition>, IReadOnlyList<StepDefinition>, FrozenDictionary<FreezeTarget, IReadOnlyList<string>>) Load()
    {
        using var stream = typeof(StepCatalogue).Assembly.GetManifestResourceStream(File)!;
        using var document = JsonDocument.Parse(stream);
        var steps = document.RootElement.GetProperty("steps").EnumerateArray().Select(Read).ToList();
        var lookUp = document.RootElement.GetProperty("lookUp");
        return (
            steps.ToFrozenDictionary(step => step.Id, StringComparer.Ordinal), steps,
            new Dictionary<FreezeTarget, IReadOnlyList<string>>
            {
                [FreezeTarget.DingTalk] = Texts(lookUp, "dingtalk"), [FreezeTarget.Entra] = Texts(lookUp, "entra"),
            }.ToFrozenDictionary());
    }

    private static StepDefinition Read(JsonElement step) => new(
        step.GetProperty("id").GetString()!,
        Enum.Parse<FreezeTarget>(step.GetProperty("target").GetString()!, ignoreCase: true),
        step.GetProperty("freeze").GetBoolean(),
        [.. Texts(step, "accounts").Select(kind => Enum.Parse<StepAccountKind>(kind, ignoreCase: true))],
        step.GetProperty("documented").GetBoolean(),
        step.GetProperty("does").GetString()!,
        step.GetProperty("readBack").GetString()!,
        step.GetProperty("undo").GetString(),
        step.TryGetProperty("undoNote", out var note) ? note.GetString() : null,
        Texts(step, "permissions"),
        step.GetProperty("needs").GetString(),
        Texts(step, "operations"),
        Texts(step, "parameters"),
        !step.TryGetProperty("outlivesAccount", out var outlives) || !outlives.GetBoolean());

    private static List<string> Texts(JsonElement element, string name) => [.. element.GetProperty(name).EnumerateArray().Select(item => item.GetString()!)];
}
