using System.Buffers;
using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using Microsoft.Data.Sqlite;

// A bare endpoint for Standard Webhooks: reads the body, checks the HMAC in constant time, syncs one row, answers 202.
//   WEBHOOK_SECRET   the key in base64
//   WEBHOOK_STORE    the database file; without it nothing is stored
var key = Convert.FromBase64String(Environment.GetEnvironmentVariable("WEBHOOK_SECRET")!);
var store = Environment.GetEnvironmentVariable("WEBHOOK_STORE") is { Length: > 0 } path ? new Rows(path) : null;
var builder = WebApplication.CreateSlimBuilder(args);
builder.Logging.SetMinimumLevel(LogLevel.Warning);
await using var app = builder.Build();
app.MapPost("/", async context =>
{
    using var buffer = new MemoryStream();
    await context.Request.Body.CopyToAsync(buffer, context.RequestAborted);
    var headers = context.Request.Headers;
    var (id, timestamp) = (headers["webhook-id"].ToString(), headers["webhook-timestamp"].ToString());
    if (!IsFresh(timestamp) || !IsSigned(key, id, timestamp, buffer.GetBuffer().AsSpan(0, (int)buffer.Length), headers["webhook-signature"].ToString()))
    {
        context.Response.StatusCode = StatusCodes.Status401Unauthorized;
        return;
    }

    store?.Insert(id, buffer.ToArray());
    context.Response.StatusCode = StatusCodes.Status202Accepted;
    context.Response.ContentLength = 0;
});
await app.RunAsync();

static bool IsFresh(string timestamp) =>
    long.TryParse(timestamp, NumberStyles.None, CultureInfo.InvariantCulture, out var seconds)
    && Math.Abs(TimeProvider.System.GetUtcNow().ToUnixTimeSeconds() - seconds) <= 300;

static bool IsSigned(byte[] key, string id, string timestamp, ReadOnlySpan<byte> body, string signature)
{
    var prefix = Encoding.UTF8.GetBytes($"{id}.{timestamp}.");
    var content = ArrayPool<byte>.Shared.Rent(prefix.Length + body.Length);
    prefix.CopyTo(content, 0);
    body.CopyTo(content.AsSpan(prefix.Length));
    Span<byte> expected = stackalloc byte[HMACSHA256.HashSizeInBytes];
    HMACSHA256.HashData(key, content.AsSpan(0, prefix.Length + body.Length), expected);
    ArrayPool<byte>.Shared.Return(content);
    Span<byte> given = stackalloc byte[HMACSHA256.HashSizeInBytes + 4];
    return signature.StartsWith("v1,", StringComparison.Ordinal)
        && Convert.TryFromBase64Chars(signature.AsSpan(3), given, out var length)
        && CryptographicOperations.FixedTimeEquals(expected, given[..length]);
}

/// <summary>One connection, one prepared statement, one commit per row: SQLite has one writer, and waiting for it here beats its busy handler.</summary>
internal sealed class Rows
{
    private readonly Lock _gate = new();
    private readonly SqliteCommand _insert;
    private readonly SqliteParameter _id = new("$id", SqliteType.Text);
    private readonly SqliteParameter _body = new("$body", SqliteType.Blob);

    public Rows(string path)
    {
        var connection = new SqliteConnection($"Data Source={path}");
        connection.Open();
        using (var setup = connection.CreateCommand())
        {
            setup.CommandText =
                """
                PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;
                CREATE TABLE IF NOT EXISTS inbox(id TEXT PRIMARY KEY, body BLOB NOT NULL) WITHOUT ROWID;
                """;
            setup.ExecuteNonQuery();
        }

        _insert = connection.CreateCommand();
        _insert.CommandText = "INSERT INTO inbox(id, body) VALUES($id, $body) ON CONFLICT DO NOTHING";
        _insert.Parameters.AddRange([_id, _body]);
        _insert.Prepare();
    }

    public void Insert(string id, byte[] body)
    {
        lock (_gate)
        {
            (_id.Value, _body.Value) = (id, body);
            _insert.ExecuteNonQuery();
        }
    }
}
