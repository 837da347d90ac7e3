namespace DingFlow.Entra;

/// <summary>An e-mail.</summary>
/// <param name="From">The mailbox that sends: its address or object id.</param>
/// <param name="To">The addresses that get it.</param>
/// <param name="Subject">One line.</param>
/// <param name="Body">Plain text.</param>
/// <param name="Key">
/// Names the message, the same with every attempt: its <c>Message-ID</c> without the angle brackets, so of the form <c>left@right</c>.
/// </param>
public sealed record EntraMail(string From, IReadOnlyList<string> To, string Subject, string Body, string Key)
{
    /// <summary>Files that go with it; together, in base64, within the 4 MB that Graph takes in a request.</summary>
    public IReadOnlyList<EntraAttachment> Attachments { get; init; } = [];
}

/// <summary>A file that goes with an e-mail (<c>fileAttachment</c>).</summary>
/// <param name="Name">Its name.</param>
/// <param name="MediaType">Its media type.</param>
/// <param name="Content">Its bytes.</param>
public sealed record EntraAttachment(string Name, string MediaType, byte[] Content);
