using System.Text.Json;
using System.Text.Json.Serialization;
using DingFlow.Messaging;

namespace DingFlow.Transfers;

/// <summary>
/// A message on <see cref="Queues.Transfers"/>: a source named people whose data DingFlow keeps abroad, or a feed could not be read before,
/// and the people are to be counted. It names nobody.
/// </summary>
/// <param name="Kind">Always <c>held</c>.</param>
/// <param name="Source">The feed (<see cref="PeopleFeed.Source"/>).</param>
/// <param name="Id">The keeper's own id of one person; <see langword="null"/> for everybody of the source.</param>
/// <param name="Version">Names the change.</param>
/// <param name="At">When they were named: the same whenever the message is handled.</param>
internal sealed record HeldPeopleMessage(string Kind, string Source, string? Id, string Version, DateTimeOffset At)
{
    public const string KindOfIt = "held";

    /// <summary>How often a feed that could not be read has been sent for; 0 when people were named.</summary>
    public int Attempt { get; init; }

    /// <summary>Reads a body; <see langword="null"/> when it is another kind of message.</summary>
    public static HeldPeopleMessage? Read(ReadOnlySpan<byte> body)
    {
        try
        {
            return JsonSerializer.Deserialize(body, HeldPeopleJson.Default.HeldPeopleMessage) is { Kind: KindOfIt, Source.Length: > 0, Version.Length: > 0 } message ? message : null;
        }
        catch (JsonException)
        {
            // Whoever reads the other kinds says what is wrong with it.
            return null;
        }
    }

    public ReadOnlyMemory<byte> ToBody() => JsonSerializer.SerializeToUtf8Bytes(this, HeldPeopleJson.Default.HeldPeopleMessage);
}

/// <summary>Has people counted as soon as a source that sends to a DingFlow abroad has named them: a roster, a provisioned user.</summary>
internal sealed partial class HeldPeopleNews(PeopleFeedOptions feeds, IMessageQueue queue, TimeProvider time, ILogger<HeldPeopleNews> logger) : IHeldPeopleListener
{
    /// <inheritdoc/>
    public async Task LearnedAsync(string source, string? id, string version)
    {
        if (feeds.OfHrSource(source) is null)
        {
            return;
        }

        var who = id ?? source.Replace('/', '-');
        var message = new OutgoingMessage
        {
            MessageId = $"held-{who}-{version}",
            // One person's changes follow one another; those of different people need not.
            SessionId = $"held-{who}",
            Subject = HeldPeopleMessage.KindOfIt,
            Body = new HeldPeopleMessage(HeldPeopleMessage.KindOfIt, source, id, version, time.GetUtcNow()).ToBody(),
        };
        try
        {
            await queue.SendAsync(Queues.Transfers, [message], CancellationToken.None);
        }
        catch (MessageQueueException exception)
        {
            // They are stored, and the nightly reading counts them; refusing what has been done would help nobody.
            Log.LeftToTheNight(logger, source, exception);
        }
    }

    private static partial class Log
    {
        [LoggerMessage(1, LogLevel.Error, "The queue does not take that {Source} named people; the nightly reading will count them")]
        public static partial void LeftToTheNight(ILogger logger, string source, Exception exception);
    }
}

/// <summary>Counts people whom HR sources have named and whose data a DingFlow abroad keeps.</summary>
internal sealed class HeldPeopleCounting(IEnumerable<IHeldPeople> keepers, PeopleCounting counting, PseudonymKey key)
{
    /// <summary>Counts everybody of a source. Returns how many there are, and how many of them had to be recorded.</summary>
    public async Task<(int People, long Recorded)> CountAllAsync(PeopleFeed feed, CancellationToken cancellationToken)
    {
        using var pseudonymizer = key.CreatePseudonymizer();
        List<FeedPerson> people = [];
        foreach (var keeper in keepers)
        {
            await foreach (var person in keeper.ReadAsync(feed.Source, cancellationToken))
            {
                if (FeedPeople.Of(feed, person, pseudonymizer) is { } found)
                {
                    people.Add(found);
                }
            }
        }

        return (people.Count, await counting.CountAllAsync(feed, people, [], cancellationToken));
    }

    /// <summary>Counts the people of whom a message tells. Returns how many had to be recorded.</summary>
    public async Task<long> CountAsync(PeopleFeed feed, HeldPeopleMessage message, CancellationToken cancellationToken)
    {
        if (message.Id is not { } id)
        {
            return (await CountAllAsync(feed, cancellationToken)).Recorded;
        }

        using var pseudonymizer = key.CreatePseudonymizer();
        foreach (var keeper in keepers)
        {
            if (await keeper.FindAsync(feed.Source, id, cancellationToken) is { } person && FeedPeople.Of(feed, person, pseudonymizer) is { } found)
            {
                return await counting.CountAsync(feed, [found], $"held\n{feed.Source}\n{id}\n{message.Version}", message.At, cancellationToken);
            }
        }

        return 0;
    }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(HeldPeopleMessage))]
internal sealed partial class HeldPeopleJson : JsonSerializerContext;
