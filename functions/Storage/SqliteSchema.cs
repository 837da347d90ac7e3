namespace DingFlow.Storage;

/// <summary>
/// The schemas of the database files, one script per version. A script that was released is never changed: a change is a new script,
/// and one that the version before it can live with, since that one may still be running elsewhere on a copy.
/// </summary>
internal static class SqliteSchema
{
    // etags: the first ETag that no process has reserved. Keys compare as bytes, which is the ordinal order of all keys that are allowed.
    private const string Entities =
        """
        CREATE TABLE entities(
          tbl TEXT NOT NULL COLLATE NOCASE, pk TEXT NOT NULL, rk TEXT NOT NULL,
          etag INTEGER NOT NULL, ts INTEGER NOT NULL, props BLOB NOT NULL,
          PRIMARY KEY(tbl, pk, rk)) WITHOUT ROWID;
        CREATE TABLE etags(next INTEGER NOT NULL);
        INSERT INTO etags VALUES(1);
        """;

    // Times are UTC ticks. order_at: when the message became or becomes visible, its place among the others. The body comes last, so that
    // reading what precedes it touches no overflow page. Locks live in memory: they die with the process that holds them.
    private const string Messages =
        """
        CREATE TABLE messages(
          seq INTEGER PRIMARY KEY AUTOINCREMENT, queue TEXT NOT NULL, session TEXT, order_at INTEGER NOT NULL, scheduled INTEGER NOT NULL,
          deliveries INTEGER NOT NULL, message_id TEXT NOT NULL, subject TEXT, trace_parent TEXT, body BLOB NOT NULL);
        CREATE TABLE message_ids(
          queue TEXT NOT NULL, message_id TEXT NOT NULL, expires_at INTEGER NOT NULL, PRIMARY KEY(queue, message_id)) WITHOUT ROWID;
        CREATE INDEX message_ids_by_expiry ON message_ids(expires_at);
        CREATE TABLE dead_letters(
          id INTEGER PRIMARY KEY AUTOINCREMENT, queue TEXT NOT NULL, seq INTEGER NOT NULL, session TEXT, order_at INTEGER NOT NULL,
          deliveries INTEGER NOT NULL, message_id TEXT NOT NULL, subject TEXT, trace_parent TEXT, reason TEXT NOT NULL, at INTEGER NOT NULL,
          body BLOB NOT NULL);
        CREATE INDEX dead_letters_by_queue ON dead_letters(queue, id);
        """;

    // In a WITHOUT ROWID table the key is compared with whole rows: those that reach over their page are read to their end at every step of
    // every search, and the ledger's rows are up to 640 KB long. Here the keys stand by themselves, and a search reads nothing else.
    private const string KeysApart =
        """
        ALTER TABLE entities RENAME TO entities_before;
        CREATE TABLE entities(
          id INTEGER PRIMARY KEY, tbl TEXT NOT NULL COLLATE NOCASE, pk TEXT NOT NULL, rk TEXT NOT NULL,
          etag INTEGER NOT NULL, ts INTEGER NOT NULL, props BLOB NOT NULL);
        INSERT INTO entities(tbl, pk, rk, etag, ts, props) SELECT tbl, pk, rk, etag, ts, props FROM entities_before;
        DROP TABLE entities_before;
        CREATE UNIQUE INDEX entities_by_key ON entities(tbl, pk, rk);
        """;

    /// <summary>The file of intake, cases and queues.</summary>
    public static IReadOnlyList<string> Main { get; } = [Entities + Messages, KeysApart];

    /// <summary>The file of the subject ledger.</summary>
    public static IReadOnlyList<string> Ledger { get; } = [Entities, KeysApart];
}
