namespace DingFlow.Messaging;

/// <summary>
/// Names of details by which an entry about a case says what else belongs to the case: a legal hold on the case keeps that, too.
/// </summary>
public static class CaseLinks
{
    /// <summary>A delivery on which the case rests, by its id in the inbox.</summary>
    public const string Delivery = "deliveryId";

    /// <summary>A case that became part of this one, that this one became part of, or that came before it.</summary>
    public const string OtherCase = "otherCase";
}
