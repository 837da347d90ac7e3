namespace DingFlow.Transfers;

/// <summary>
/// One thing that is true of a data subject in a calendar year (Asia/Shanghai): information of this class went along this lane to this
/// recipient, under this exemption or none. Facts form a set: repeating one changes nothing.
/// </summary>
/// <param name="Lane">From where to where.</param>
/// <param name="Exemption">Under which exemption.</param>
/// <param name="Class">What kind of information.</param>
/// <param name="Minor">The subject was under 14 at the time: sensitive whatever the class.</param>
/// <param name="Recipient">The recipient's id in lower case, 1 to 64 of <c>a-z 0-9 . _ -</c>.</param>
public readonly record struct TransferFact(Lane Lane, ExemptionKind Exemption, DataClass Class, bool Minor, string Recipient);
