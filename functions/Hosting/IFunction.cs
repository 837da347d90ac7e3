using System.Diagnostics.CodeAnalysis;
using DingFlow.Messaging;

namespace DingFlow.Hosting;

/// <summary>
/// A function. Its class name is its name: the folder under <c>Triggers</c> with its <c>function.json</c>, which alone says what
/// triggers it. A function without its <c>function.json</c>, or the reverse, stops the start.
/// </summary>
public interface IFunction;

/// <summary>Answers an HTTP request. It gets the original request under either host.</summary>
public interface IHttpFunction : IFunction
{
    /// <summary>Answers the request. An exception becomes a problem+json answer without its text.</summary>
    Task InvokeAsync(HttpContext context);
}

/// <summary>Handles one message of a queue.</summary>
public interface IQueueFunction : IFunction
{
    /// <summary>
    /// Handles the message. Returning completes it; throwing has it delivered again at once, without back-off, until the queue's
    /// delivery limit. Work that must wait sends its own successor and returns.
    /// </summary>
    Task InvokeAsync(ReceivedMessage message, CancellationToken cancellationToken);
}

/// <summary>Runs on a schedule, on one instance at a time under the Functions host.</summary>
public interface ITimerFunction : IFunction
{
    /// <summary>Runs once.</summary>
    Task InvokeAsync(TimerTick tick, CancellationToken cancellationToken);
}

/// <summary>One firing of a timer.</summary>
/// <param name="IsPastDue">It comes later than its schedule said, for instance after an outage.</param>
public sealed record TimerTick(bool IsPastDue);

/// <summary>Roles of the management routes (DESIGN section 4): Entra app roles, or <c>Auth:ApiKeys:{name}:Roles</c>.</summary>
public static class Roles
{
    /// <summary>Read offboarding cases, see details of the health.</summary>
    public const string OperationsRead = "operations.read";

    /// <summary>Change offboarding cases.</summary>
    public const string OperationsWrite = "operations.write";

    /// <summary>Second person for the release of the brake.</summary>
    public const string OperationsApprove = "operations.approve";

    /// <summary>Provision and deprovision people by SCIM, in the sources that the key is confined to.</summary>
    public const string Scim = "scim";

    /// <summary>Hand in the roster of an HR source.</summary>
    public const string RosterWrite = "roster.write";

    /// <summary>Have stored deliveries handled once more.</summary>
    public const string DeliveriesReplay = "deliveries.replay";

    /// <summary>Report transfers, and ask how they would count.</summary>
    public const string TransfersWrite = "transfers.write";

    /// <summary>Read counters, thresholds, alerts and reports.</summary>
    public const string ComplianceRead = "compliance.read";

    /// <summary>Acknowledge alerts, review tiers, correct what was counted.</summary>
    public const string ComplianceWrite = "compliance.write";

    /// <summary>Learn what is held on one person, with a reason.</summary>
    public const string SubjectsRead = "subjects.read";

    /// <summary>Search, verify and export the audit trail.</summary>
    public const string AuditRead = "audit.read";

    /// <summary>Place and release legal holds.</summary>
    public const string AuditHold = "audit.hold";

    /// <summary>Rehearse the offboarding policy with imaginary leavers.</summary>
    public const string RehearsalsRun = "rehearsals.run";

    /// <summary>
    /// Every role there is; a key with any other is refused at the start. Those of routes that are still to come are known already, so
    /// that a key can be given them beforehand.
    /// </summary>
    public static IReadOnlyList<string> All { get; } =
    [
        OperationsRead, OperationsWrite, OperationsApprove,
        TransfersWrite, ComplianceRead, ComplianceWrite, SubjectsRead, AuditRead, AuditHold,
        RosterWrite, DeliveriesReplay, RehearsalsRun, Scim,
    ];
}

/// <summary>Puts functions into the program.</summary>
public static class FunctionServices
{
    /// <summary>
    /// Adds a function. A webhook authenticates its sender itself and a probe needs nobody: they name no <paramref name="role"/>.
    /// All other HTTP functions name the role that the caller must hold. Functions of a protocol with an error form of its own name the
    /// writer of its <paramref name="problems"/>. Where one of two roles suffices, <paramref name="orRole"/> is the other.
    /// </summary>
    public static IServiceCollection AddFunction<[DynamicallyAccessedMembers(DynamicallyAccessedMemberTypes.PublicConstructors)] TFunction>(
        this IServiceCollection services, string? role = null, IProblemWriter? problems = null, string? orRole = null)
        where TFunction : class, IFunction
    {
        services.AddSingleton<TFunction>();
        services.AddSingleton(new FunctionRegistration(typeof(TFunction).Name, typeof(TFunction), role, problems, orRole));
        return services;
    }
}

/// <summary>
/// A function that was added: its name, its class and, for HTTP functions that have them, the role it asks for (or the other one that
/// suffices) and how its problems are written in place of problem+json.
/// </summary>
public sealed record FunctionRegistration(string Name, Type Type, string? Role, IProblemWriter? Problems = null, string? OrRole = null);
