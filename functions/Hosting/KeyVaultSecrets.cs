using System.Collections.Concurrent;
using System.Collections.Frozen;
using System.Globalization;
using Azure;
using Azure.Core;
using Azure.Core.Pipeline;
using Azure.Identity;
using Azure.Security.KeyVault.Secrets;

namespace DingFlow.Hosting;

/// <summary>Where the vault is and how it is read.</summary>
/// <param name="Uri">The vault's address, https.</param>
/// <param name="Timeout">How long reading all of it may take.</param>
/// <param name="ReloadInterval">How often it is read again; <see langword="null"/> means never.</param>
/// <param name="Transport">Another transport, for tests.</param>
internal sealed record KeyVaultOptions(Uri Uri, TimeSpan Timeout, TimeSpan? ReloadInterval, HttpPipelineTransport? Transport);

/// <summary>The vault could not be read. The message continues a sentence about it and holds nothing secret.</summary>
internal sealed class KeyVaultException(string message, Exception innerException) : Exception(message, innerException);

/// <summary>The enabled secrets of a vault, under the names of the settings that they are.</summary>
internal sealed class KeyVaultSecrets
{
    private const int Parallelism = 8;

    private readonly KeyVaultOptions _options;
    private readonly TimeProvider _timeProvider;
    private readonly SecretClient _client;

    public KeyVaultSecrets(KeyVaultOptions options, TokenCredential credential, TimeProvider timeProvider)
    {
        _options = options;
        _timeProvider = timeProvider;
        var clientOptions = new SecretClientOptions
        {
            // The challenge names the resource that the token is for; only a stand-in on this machine may name another than its own.
            DisableChallengeResourceVerification = options.Uri.IsLoopback,
        };
        clientOptions.Diagnostics.IsLoggingEnabled = false;
        clientOptions.Retry.Delay = TimeSpan.FromMilliseconds(200);
        clientOptions.Retry.NetworkTimeout = TimeSpan.FromSeconds(10);
        if (options.Transport is not null)
        {
            clientOptions.Transport = options.Transport;
        }

        _client = new(options.Uri, credential, clientOptions);
    }

    /// <summary>What was read last.</summary>
    public IReadOnlyDictionary<string, string?> Current { get; private set; } = FrozenDictionary<string, string?>.Empty;

    /// <summary>Reading found something new.</summary>
    public event Action? Changed;

    /// <summary>Reads the vault; <see langword="true"/> when it differs from before.</summary>
    /// <exception cref="KeyVaultException">It could not be read.</exception>
    public async Task<bool> ReadAsync(CancellationToken cancellationToken)
    {
        using var timeout = new CancellationTokenSource(_options.Timeout, _timeProvider);
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, cancellationToken);
        FrozenDictionary<string, string?> read;
        try
        {
            read = await ReadAllAsync(limit.Token);
        }
        catch (Exception fault) when (!cancellationToken.IsCancellationRequested && IsTrouble(fault))
        {
            throw new KeyVaultException(Explain(fault, timeout.IsCancellationRequested), fault);
        }

        if (read.Count == Current.Count && read.All(pair => Current.TryGetValue(pair.Key, out var before) && before == pair.Value))
        {
            return false;
        }

        Current = read;
        Changed?.Invoke();
        return true;
    }

    private async Task<FrozenDictionary<string, string?>> ReadAllAsync(CancellationToken cancellationToken)
    {
        var names = new List<string>();
        await foreach (var secret in _client.GetPropertiesOfSecretsAsync(cancellationToken))
        {
            // A managed secret is the private key of a certificate, never a setting.
            if (secret.Enabled == true && !secret.Managed)
            {
                names.Add(secret.Name);
            }
        }

        var values = new ConcurrentDictionary<string, string?>(StringComparer.OrdinalIgnoreCase);
        var parallel = new ParallelOptions { MaxDegreeOfParallelism = Parallelism, CancellationToken = cancellationToken };
        await Parallel.ForEachAsync(names, parallel, async (name, token) =>
        {
            try
            {
                var secret = await _client.GetSecretAsync(name, cancellationToken: token);
                values[name.Replace("--", ":", StringComparison.Ordinal)] = secret.Value.Value;
            }
            catch (RequestFailedException fault) when (fault.Status == 404)
            {
                // Deleted since it was listed.
            }
        });
        return values.ToFrozenDictionary(StringComparer.OrdinalIgnoreCase);
    }

    private static bool IsTrouble(Exception fault) =>
        fault is RequestFailedException or AggregateException or HttpRequestException or IOException or AuthenticationFailedException
            or OperationCanceledException;

    private string Explain(Exception fault, bool timedOut) => fault switch
    {
        _ when timedOut => string.Create(CultureInfo.InvariantCulture, $"did not answer within {_options.Timeout:c}"),
        RequestFailedException { Status: 401 or 403 } denied =>
            $"denied access ({denied.Status} {denied.ErrorCode}); the identity needs the role Key Vault Secrets User",
        RequestFailedException { Status: > 0 } failed => $"failed ({failed.Status} {failed.ErrorCode})",
        AuthenticationFailedException => "cannot be read, because no token could be had for the Azure identity",
        _ => "cannot be reached",
    };
}
