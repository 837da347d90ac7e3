using DingFlow.Messaging;

namespace DingFlow.Intake;

/// <summary>Handshakes of senders, in the audit trail; a token that is kept has its entry with the delivery that holds it.</summary>
internal static class HandshakeAudit
{
    /// <summary>A sender asked.</summary>
    public static AuditKind Answered { get; } = new(
        "intake.handshake_answered", AuditRetention.Operational, "A sender asked whether somebody listens: HiBob's ping, which nothing confirms, or DingTalk's check_url.");

    /// <summary>An operator read the token.</summary>
    public static AuditKind Read { get; } =
        new("intake.handshake_read", AuditRetention.Operational, "An operator read the verification token that a sender had handed over.");
}
