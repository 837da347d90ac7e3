using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using DingFlow.Settings;
using DingFlow.Storage;

namespace DingFlow.Hosting;

/// <summary>
/// Secrets that a standalone program generates for itself into its data directory, each only while nothing else is configured in its
/// place. Losing the file loses what was pseudonymised and encrypted with them: it is to be backed up like the data.
/// </summary>
internal sealed class GeneratedKeys
{
    /// <summary>Every generated setting, mode 0600.</summary>
    public const string FileName = "keys.json";

    /// <summary>The API key itself, whose hash is in <see cref="FileName"/>; mode 0600.</summary>
    public const string ApiKeyFile = "api-key";

    /// <summary>The <c>whsec_</c> secret of the source <c>sandbox</c>; mode 0600.</summary>
    public const string HrSecretFile = "hr-secret";

    private const string LedgerKey = "Pseudonyms:LedgerKey";
    private const string EncryptionKey = "Deliveries:EncryptionKey";
    private const string ApiKeyHash = "Auth:ApiKeys:local:Hash";
    private const string SigningKey = "Signals:SigningKeys:0";
    private const string HrSecret = "HrSources:sandbox:Secrets:0";

    /// <summary>What the CAEP interoperability profile asks for at least.</summary>
    private const int SigningKeyBits = 2048;

    private readonly string _directory;
    private readonly Dictionary<string, string> _kept;
    private readonly Dictionary<string, string?> _settings = new(StringComparer.OrdinalIgnoreCase);
    private bool _changed;

    private GeneratedKeys(string directory, Dictionary<string, string> kept) => (_directory, _kept) = (directory, kept);

    /// <summary>The settings that are to be added below all others.</summary>
    public IReadOnlyDictionary<string, string?> Settings => _settings;

    /// <summary>Full path of the file with the API key, when the generated one is in force.</summary>
    public string? ApiKeyPath { get; private set; }

    /// <summary>Reads what was generated before, generates what is missing, and keeps it on disk before it is used.</summary>
    public static GeneratedKeys? Prepare(string dataDirectory, IConfiguration configuration, SettingsFaults faults)
    {
        try
        {
            PrivateFiles.CreateDirectory(dataDirectory);
            // A second process that starts at the same time must not generate other keys.
            using var exclusive = new FileStream(
                Path.Combine(dataDirectory, "keys.lock"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, 1, FileOptions.DeleteOnClose);
            var path = Path.Combine(dataDirectory, FileName);
            var keys = new GeneratedKeys(dataDirectory, Read(path));
            keys.Fill(configuration);
            keys.Save(path);
            return keys;
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException)
        {
            faults.Add("DingFlow:DataDirectory", $"cannot be written, or another process is starting in it ({exception.GetType().Name})");
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            faults.Add("DingFlow:DataDirectory", $"its {FileName} is damaged; restore it, since what it encrypted cannot be read without");
        }

        return null;
    }

    /// <summary>A setting that was generated before, or <see langword="null"/>. Generates nothing.</summary>
    public static string? Find(string dataDirectory, string setting) => Read(Path.Combine(dataDirectory, FileName)).GetValueOrDefault(setting);

    /// <summary>Puts a secret from a backup in place of one that is yet to be generated.</summary>
    /// <exception cref="InvalidDataException">Another is there: what was made with it would be lost.</exception>
    public static void Restore(string dataDirectory, string setting, string value)
    {
        PrivateFiles.CreateDirectory(dataDirectory);
        using var exclusive = new FileStream(
            Path.Combine(dataDirectory, "keys.lock"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, 1, FileOptions.DeleteOnClose);
        var path = Path.Combine(dataDirectory, FileName);
        var keys = new GeneratedKeys(dataDirectory, Read(path));
        if (keys._kept.TryGetValue(setting, out var kept))
        {
            if (kept != value)
            {
                throw new InvalidDataException($"{dataDirectory} holds another {setting}; take its {FileName} away first if its data are gone.");
            }

            return;
        }

        keys.Use(setting, () => value);
        keys.Save(path);
    }

    private static Dictionary<string, string> Read(string path)
    {
        var kept = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
        if (File.Exists(path))
        {
            using var document = JsonDocument.Parse(File.ReadAllBytes(path));
            foreach (var property in document.RootElement.EnumerateObject())
            {
                kept[property.Name] = property.Value.GetString() ?? "";
            }
        }

        return kept;
    }

    private void Fill(IConfiguration configuration)
    {
        if (string.IsNullOrWhiteSpace(configuration[LedgerKey]))
        {
            Use(LedgerKey, () => Convert.ToBase64String(RandomNumberGenerator.GetBytes(32)));
        }

        if (string.IsNullOrWhiteSpace(configuration[EncryptionKey]))
        {
            Use(EncryptionKey, () => Convert.ToBase64String(RandomNumberGenerator.GetBytes(32)));
        }

        if (!configuration.GetSection("Auth:ApiKeys").GetChildren().Any() && string.IsNullOrWhiteSpace(configuration["Auth:Authority"]))
        {
            Use(ApiKeyHash, () =>
            {
                var key = $"dfk_{Base64Url.EncodeToString(RandomNumberGenerator.GetBytes(32))}";
                PrivateFiles.Write(Path.Combine(_directory, ApiKeyFile), key);
                return $"sha256:{Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(key)))}";
            });
            // Roles that a later version adds are this key's, too.
            _settings["Auth:ApiKeys:local:Roles"] = string.Join(',', Roles.All);
            ApiKeyPath = Path.Combine(_directory, ApiKeyFile);
        }

        if (configuration.GetSection("Signals:Subscribers").GetChildren().Any() && !configuration.GetSection("Signals:SigningKeys").GetChildren().Any())
        {
            Use(SigningKey, static () =>
            {
                using var rsa = RSA.Create(SigningKeyBits);
                return Convert.ToBase64String(rsa.ExportPkcs8PrivateKey());
            });
        }

        if (!configuration.GetSection("HrSources").GetChildren().Any())
        {
            Use(HrSecret, () =>
            {
                var secret = $"whsec_{Convert.ToBase64String(RandomNumberGenerator.GetBytes(32))}";
                PrivateFiles.Write(Path.Combine(_directory, HrSecretFile), secret);
                return secret;
            });
            _settings["HrSources:sandbox:Dialect"] = "standard";
        }
    }

    private void Use(string setting, Func<string> generate)
    {
        if (!_kept.TryGetValue(setting, out var value))
        {
            _kept[setting] = value = generate();
            _changed = true;
        }

        _settings[setting] = value;
    }

    private void Save(string path)
    {
        if (!_changed)
        {
            return;
        }

        using var text = new MemoryStream();
        using (var writer = new Utf8JsonWriter(text, new JsonWriterOptions { Indented = true }))
        {
            writer.WriteStartObject();
            foreach (var (setting, value) in _kept.OrderBy(pair => pair.Key, StringComparer.Ordinal))
            {
                writer.WriteString(setting, value);
            }

            writer.WriteEndObject();
        }

        PrivateFiles.Write(path, Encoding.UTF8.GetString(text.ToArray()));
    }
}
