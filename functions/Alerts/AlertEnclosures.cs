using System.IO.Compression;
using DingFlow.Messaging;

namespace DingFlow.Alerts;

/// <summary>How a document goes with a message.</summary>
internal enum EnclosureForm
{
    /// <summary>As it is.</summary>
    Plain,

    /// <summary>Compressed with gzip (RFC 1952).</summary>
    Gzip,

    /// <summary>Not: it is larger than the channel carries.</summary>
    TooLarge,

    /// <summary>Not: its content is not kept any more.</summary>
    Gone,
}

/// <summary>A document as it goes with a message.</summary>
/// <param name="Key">The alert that it belongs to.</param>
/// <param name="Document">The document.</param>
/// <param name="Form">How it goes.</param>
/// <param name="Content">What is sent; empty when it does not go.</param>
internal sealed record AlertEnclosure(string Key, AlertDocument Document, EnclosureForm Form, byte[] Content)
{
    /// <summary>It is in the message.</summary>
    public bool IsEnclosed => Form is EnclosureForm.Plain or EnclosureForm.Gzip;
}

/// <summary>
/// Reads the documents of a message when it is sent, and makes them fit: all as they are; else all compressed; else those that fit
/// compressed, in their order. The same with every attempt.
/// </summary>
internal static class AlertEnclosures
{
    /// <summary>Nothing that we send shrinks further; what is larger is not even read.</summary>
    private const int BestRatio = 40;

    /// <param name="documents">Where they are kept.</param>
    /// <param name="notice">The message.</param>
    /// <param name="limit">How many characters of base64 the message may carry.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public static async Task<IReadOnlyList<AlertEnclosure>> ReadAsync(
        IAlertDocuments documents, AlertNotice notice, int limit, CancellationToken cancellationToken)
    {
        var (read, toRead) = (new List<AlertEnclosure>(), (long)limit * BestRatio);
        foreach (var telling in notice.Alerts)
        {
            foreach (var document in telling.Alert.Documents)
            {
                toRead -= document.Bytes;
                read.Add(toRead < 0 ? new(telling.Key, document, EnclosureForm.TooLarge, [])
                    : await documents.FindAsync(telling.Alert.AlertId, document, cancellationToken) is { } content
                    ? new(telling.Key, document, EnclosureForm.Plain, content)
                    : new(telling.Key, document, EnclosureForm.Gone, []));
            }
        }

        return Fit(read, limit);
    }

    private static List<AlertEnclosure> Fit(List<AlertEnclosure> read, int limit)
    {
        if (read.Sum(static one => Encoded(one.Content)) <= limit && read.TrueForAll(static one => one.Form != EnclosureForm.TooLarge))
        {
            return read;
        }

        var (fitting, left) = (new List<AlertEnclosure>(), (long)limit);
        foreach (var one in read)
        {
            var packed = one.Form == EnclosureForm.Plain ? one with { Form = EnclosureForm.Gzip, Content = Compress(one.Content) } : one;
            if (Encoded(packed.Content) > left)
            {
                packed = packed with { Form = EnclosureForm.TooLarge, Content = [] };
            }

            left -= Encoded(packed.Content);
            fitting.Add(packed);
        }

        return fitting;
    }

    private static long Encoded(byte[] content) => (content.Length + 2L) / 3 * 4;

    private static byte[] Compress(byte[] content)
    {
        using var packed = new MemoryStream();
        using (var gzip = new GZipStream(packed, CompressionLevel.SmallestSize, leaveOpen: true))
        {
            gzip.Write(content);
        }

        return packed.ToArray();
    }
}
