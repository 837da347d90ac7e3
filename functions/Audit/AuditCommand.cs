using System.Text.Json;
using DingFlow.Storage;

namespace DingFlow.Audit;

/// <summary>
/// <c>DingFlow audit check FILE</c>, <c>DingFlow audit verify-archive DIRECTORY [ANCHORS]</c> and <c>DingFlow audit restore DIRECTORY</c>: what is
/// done offline, with files alone.
/// </summary>
public static class AuditCommand
{
    /// <summary>Everything holds.</summary>
    public const int Ok = 0;

    /// <summary>Something does not hold.</summary>
    public const int Broken = 1;

    /// <summary>The command is not one of these, or its file or folder is not there.</summary>
    public const int Usage = 64;

    /// <summary>The first word of the command line.</summary>
    internal const string Name = "audit";

    internal const string Help = """
        DingFlow audit check FILE                 checks the proof of one entry, as GET /api/audit/{chain}/{sequence}/proof gives it
        DingFlow audit verify-archive DIRECTORY [ANCHORS]
                                                  verifies every archived day from its files alone; with the folder of the anchors also that
                                                  none is missing at the end
        DingFlow audit restore DIRECTORY          verifies, then restores what the store of the settings does not have
        Exit codes: 0 everything holds, 1 something does not, 64 the command, file or folder is not there.
        """;

    /// <summary>Whether the program's arguments are such a command.</summary>
    public static bool Is(IReadOnlyList<string> args) => args is [Name, ..];

    /// <summary>Runs the command. Returns the exit code.</summary>
    /// <param name="args">The arguments, <c>audit</c> first.</param>
    /// <param name="output">Where it says what it found.</param>
    /// <param name="openStore">Opens the store of the settings; for <c>restore</c>.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public static async Task<int> RunAsync(
        IReadOnlyList<string> args, TextWriter output, Func<IEntityStore> openStore, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(output);
        ArgumentNullException.ThrowIfNull(openStore);
        try
        {
            switch (args)
            {
                case [_, "check", var file]:
                    return await CheckAsync(file, output, cancellationToken);
                case [_, "verify-archive", var directory]:
                    return await LiesInAsync(directory, "days", "an archive", output)
                        ? await VerifyAsync(ArchiveOf(directory), output, cancellationToken) ? Ok : Broken : Usage;
                case [_, "verify-archive", var directory, var anchors]:
                    return await LiesInAsync(directory, "days", "an archive", output) && await LiesInAsync(anchors, "anchors", "anchors", output)
                        ? await VerifyAsync(ArchiveOf(directory, anchors), output, cancellationToken) ? Ok : Broken : Usage;
                case [_, "restore", var directory]:
                    return await LiesInAsync(directory, "days", "an archive", output)
                        ? await RestoreAsync(ArchiveOf(directory), output, openStore, cancellationToken) : Usage;
                default:
                    await output.WriteLineAsync(Help);
                    return Usage;
            }
        }
        catch (IOException exception)
        {
            await output.WriteLineAsync(exception.Message);
            return Usage;
        }
    }

    /// <summary>A folder that was mistyped holds no days, and must not count as an archive in which nothing is wrong.</summary>
    private static async Task<bool> LiesInAsync(string directory, string child, string what, TextWriter output)
    {
        if (Directory.Exists(Path.Combine(directory, child)))
        {
            return true;
        }

        await output.WriteLineAsync(Directory.Exists(directory)
            ? $"{directory} does not hold {what}: there is no folder {child} in it."
            : $"There is no folder {directory}.");
        return false;
    }

    private static ArchiveVerifier ArchiveOf(string directory, string? anchors = null) =>
        new(new AuditArchive(new NoStore(), new FolderFiles(directory)), anchors is null ? null : new AnchorReader(new FolderFiles(anchors)));

    private static async Task<int> CheckAsync(string file, TextWriter output, CancellationToken cancellationToken)
    {
        AuditProof? proof;
        try
        {
            proof = JsonSerializer.Deserialize(await File.ReadAllBytesAsync(file, cancellationToken), AuditApiJson.Default.AuditProof);
        }
        catch (JsonException)
        {
            proof = null;
        }

        if (proof is null)
        {
            await output.WriteLineAsync("The file is no proof.");
            return Broken;
        }

        var faults = proof.Faults();
        foreach (var fault in faults)
        {
            await output.WriteLineAsync(fault);
        }

        if (faults.Count > 0)
        {
            return Broken;
        }

        await output.WriteLineAsync($"Entry {proof.Entry.Chain}/{proof.Entry.Sequence} ({proof.Entry.Kind}) was recorded at {proof.Entry.RecordedAt} and is sealed in {proof.Seal.Day}.");
        await output.WriteLineAsync($"Root of the day: {proof.Seal.Root}");
        await output.WriteLineAsync(proof.Anchor is { } anchor
            ? $"The proof brings its anchor of {anchor.AnchoredAt:u}{StampOf(anchor, proof.Seal.Root)}. Compare the root with the anchor where you keep it."
            : "Compare the root with the one that was anchored or noted elsewhere.");
        return Ok;
    }

    /// <summary>What a time stamp proves: its own time, by an authority whose certificate the reader has to know.</summary>
    private static string StampOf(AuditAnchor anchor, string root) => anchor.Timestamp is { } token && AuditAnchors.StampOf(token, root) is { } stamp
        ? $", with a valid time stamp of {stamp.At:u} by {stamp.Authority} (certificate SHA-256 {stamp.Fingerprint})"
        : "";

    private static async Task<bool> VerifyAsync(ArchiveVerifier archive, TextWriter output, CancellationToken cancellationToken)
    {
        var result = await archive.VerifyAsync(cancellationToken);
        await output.WriteLineAsync(
            $"{result.Days} days ({result.From} to {result.To}), {result.Entries} entries, of which {result.WithoutContent} without content.");
        await output.WriteLineAsync(result.FirstFault is { } fault
            ? $"First fault: {fault.Kind} in {fault.Day}, chain {fault.Chain}, entry {fault.Sequence}: {fault.Detail}"
            : $"Everything is as it was sealed. Root of the last day: {result.Root}");
        await output.WriteLineAsync(result.VouchedThrough is { } through
            ? $"Anchors vouch for the days up to {through}."
            : $"Nothing here tells whether days after {result.To} are missing: give the folder of the anchors, or compare with what is known elsewhere.");
        return result.Ok;
    }

    private static async Task<int> RestoreAsync(
        ArchiveVerifier archive, TextWriter output, Func<IEntityStore> openStore, CancellationToken cancellationToken)
    {
        if (!await VerifyAsync(archive, output, cancellationToken))
        {
            await output.WriteLineAsync("Nothing was restored.");
            return Broken;
        }

        try
        {
            var restored = await archive.RestoreAsync(openStore(), cancellationToken);
            await output.WriteLineAsync($"Restored {restored} days.");
            return Ok;
        }
        catch (InvalidDataException exception)
        {
            await output.WriteLineAsync(exception.Message);
            await output.WriteLineAsync("Nothing was restored.");
            return Broken;
        }
    }

    /// <summary>The archive is read from files alone.</summary>
    private sealed class NoStore : IEntityStore
    {
        public Task<Entity?> GetAsync(string table, string partitionKey, string rowKey, CancellationToken cancellationToken) =>
            throw new NotSupportedException();

        public Task<EntityPage> QueryAsync(
            string table, string partitionKey, RowKeyRange range, int pageSize, string? continuation, CancellationToken cancellationToken) =>
            throw new NotSupportedException();

        public Task<TransactionResult> SubmitAsync(EntityTransaction transaction, CancellationToken cancellationToken) =>
            throw new NotSupportedException();

        public Task<IReadOnlyList<TransactionResult>> SubmitManyAsync(
            IReadOnlyList<EntityTransaction> transactions, CancellationToken cancellationToken) => throw new NotSupportedException();
    }
}
