using DingFlow.Settings;

namespace DingFlow.Messaging;

/// <summary>Settings of the inbox (<c>Deliveries</c>).</summary>
public sealed record InboxOptions
{
    /// <summary>Bytes that an encryption key needs at least.</summary>
    public const int KeyBytes = 32;

    /// <summary>For how long a completed delivery is kept as evidence, unless configured otherwise.</summary>
    public static TimeSpan DefaultRetention { get; } = TimeSpan.FromDays(180);

    /// <summary>
    /// The shortest retention: as long as the most patient sender tries again (Svix gives an address up after five days of failing),
    /// or a repetition would be taken for something new.
    /// </summary>
    public static TimeSpan ShortestRetention { get; } = TimeSpan.FromDays(6);

    /// <summary>The secret under which new deliveries are encrypted (<c>Deliveries:EncryptionKey</c>).</summary>
    public required ReadOnlyMemory<byte> EncryptionKey { get; init; }

    /// <summary>The secret before it, which can still be read but no longer written (<c>Deliveries:PreviousEncryptionKey</c>); empty when there is none.</summary>
    public ReadOnlyMemory<byte> PreviousEncryptionKey { get; init; }

    /// <summary>How long after its receipt a completed delivery is removed (<c>Deliveries:Retention</c>). What is not complete stays.</summary>
    public TimeSpan Retention { get; init; } = DefaultRetention;

    /// <summary>Reads the settings; what is wrong is added to the faults.</summary>
    public static InboxOptions Read(IConfiguration configuration, SettingsFaults faults)
    {
        ArgumentNullException.ThrowIfNull(faults);
        var reader = new SettingsReader(configuration, "Deliveries", faults);
        var faultsBefore = faults.All.Count;
        var key = reader.Key("EncryptionKey", KeyBytes);
        if (key is null && faults.All.Count == faultsBefore)
        {
            reader.Fault("EncryptionKey", "is missing");
        }

        var retention = reader.Duration("Retention", DefaultRetention);
        if (retention < ShortestRetention)
        {
            reader.Fault("Retention", "must be at least 6.00:00:00, as long as senders try again");
        }

        return new InboxOptions
        {
            EncryptionKey = key ?? [],
            PreviousEncryptionKey = reader.Key("PreviousEncryptionKey", KeyBytes),
            Retention = retention,
        };
    }

    /// <summary>Nothing of the content: the record holds secrets.</summary>
    public override string ToString() => nameof(InboxOptions);
}

/// <summary>Says whose deliveries are to wait.</summary>
public interface IInboxGate
{
    /// <summary>
    /// Whether deliveries of this source are kept without being enqueued, by what this instance knows at once. Once it says no, the next
    /// sweep enqueues what waited.
    /// </summary>
    /// <param name="source"><c>hr/{source}</c> or <c>dingtalk/{tenant}</c>.</param>
    bool IsHeld(string source);

    /// <summary>The same by what is stored, at most a few seconds old: asked before anything is done on the word of the source.</summary>
    /// <param name="source"><c>hr/{source}</c> or <c>dingtalk/{tenant}</c>.</param>
    /// <param name="cancellationToken">Gives up waiting.</param>
    ValueTask<bool> IsHeldAsync(string source, CancellationToken cancellationToken);
}
