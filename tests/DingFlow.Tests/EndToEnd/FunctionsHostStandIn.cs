using System.Collections.Concurrent;
using System.Globalization;
using System.Net.Http.Headers;
using System.Text;
using System.Threading.Channels;
using DingFlow.Tests.Infrastructure;
using Microsoft.AspNetCore.Http;
using Newtonsoft.Json;
using Newtonsoft.Json.Linq;

namespace DingFlow.Tests.EndToEnd;

/// <summary>
/// What surrounds the program in Azure, on the loopback: the managed identity, the sending side of Service Bus, and the Functions host
/// that delivers what was sent as it really does (Service Bus extension 5.x): values as JSON texts that hold JSON, body properties
/// copied into the metadata, sequential within a session and parallel across, a failure delivered again at once.
/// </summary>
internal sealed class FunctionsHostStandIn : IAsyncDisposable
{
    private const int MaximumDeliveries = 10;
    private const string Token = "token-of-the-stand-in";
    private const string IdentityHeader = "header-of-the-stand-in";

    private static readonly Dictionary<string, string> Functions = new() { ["offboarding"] = "ProcessOffboarding", ["transfers"] = "ProcessTransfers", ["alerts"] = "DeliverAlert" };

    private readonly CancellationTokenSource _stopping = new();
    private readonly ConcurrentDictionary<string, bool> _known = new();
    private readonly ConcurrentDictionary<string, Channel<BusMessage>> _sessions = new();
    private readonly ConcurrentBag<Task> _working = [];
    private readonly TaskCompletionSource<DingFlowProcess> _program = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private LoopbackServer? _server;
    private long _sequence;

    /// <summary>Answers that the host would not understand, or that were not what the contract asks for.</summary>
    public ConcurrentQueue<string> Violations { get; } = new();

    /// <summary>Messages that were delivered in vain too often.</summary>
    public ConcurrentQueue<BusMessage> DeadLetters { get; } = new();

    /// <summary>What was sent, duplicates left out.</summary>
    public ConcurrentQueue<BusMessage> Sent { get; } = new();

    /// <summary>Deliveries that failed.</summary>
    public ConcurrentQueue<string> Failures { get; } = new();

    /// <summary>Each message is delivered so often in all, as though the host had died after the work and before the settlement.</summary>
    public int DeliverEach { get; set; } = 1;

    public static async Task<FunctionsHostStandIn> StartAsync()
    {
        var host = new FunctionsHostStandIn();
        host._server = await LoopbackServer.StartAsync(host.AnswerAsync);
        return host;
    }

    /// <summary>The environment as the host and the app settings give it.</summary>
    public Dictionary<string, string> Environment => new()
    {
        ["FUNCTIONS_CUSTOMHANDLER_WORKER_ID"] = Guid.NewGuid().ToString(),
        ["FUNCTIONS_APP_ROOT_PATH"] = AppContext.BaseDirectory,
        ["FUNCTIONS_EXTENSION_VERSION"] = "~4",
        ["FUNCTIONS_WORKER_RUNTIME"] = "custom",
        ["WEBSITE_SITE_NAME"] = "dingflow-test",
        ["IDENTITY_ENDPOINT"] = new Uri(_server!.Address, "msi/token").ToString(),
        ["IDENTITY_HEADER"] = IdentityHeader,
        ["ServiceBusConnection__fullyQualifiedNamespace"] = "dingflow-test.servicebus.windows.net",
        ["ServiceBusConnection__credential"] = "managedidentity",
        ["ServiceBus__Endpoint"] = _server.Address.ToString(),
    };

    /// <summary>From now on what was sent is delivered to this program.</summary>
    public void DeliverTo(DingFlowProcess program) => _program.SetResult(program);

    /// <summary>Invokes a function as the host would. Returns the answer.</summary>
    public static async Task<Answer> InvokeAsync(DingFlowProcess program, string function, string invocation)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, $"/{function}") { Content = new StringContent(invocation, Encoding.UTF8, "application/json") };
        request.Headers.TransferEncodingChunked = true;
        return await program.Client.AskAsync(request);
    }

    /// <summary>The JSON for a firing of a timer.</summary>
    public static string Tick(string function) => new JObject
    {
        ["Data"] = new JObject
        {
            ["timer"] = new JObject { ["Schedule"] = new JObject { ["AdjustForDST"] = true }, ["ScheduleStatus"] = null, ["IsPastDue"] = false },
        },
        ["Metadata"] = new JObject { ["sys"] = Sys(function) },
    }.ToString(Formatting.None);

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        foreach (var session in _sessions.Values)
        {
            session.Writer.TryComplete();
        }

        await Task.WhenAll(_working).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        if (_server is not null)
        {
            await _server.DisposeAsync();
        }

        _stopping.Dispose();
    }

    private async Task AnswerAsync(HttpContext context)
    {
        var path = context.Request.Path.Value!.Trim('/').Split('/');
        if (context.Request.Path == "/msi/token")
        {
            await AnswerTokenAsync(context);
            return;
        }

        if (path is not [var queue, "messages"] || !Functions.ContainsKey(queue) || context.Request.Headers.Authorization != $"Bearer {Token}")
        {
            Violations.Enqueue($"{context.Request.Method} {context.Request.Path}");
            context.Response.StatusCode = 401;
            return;
        }

        var body = Encoding.UTF8.GetString(await LoopbackServer.BodyOfAsync(context));
        if (context.Request.ContentType == "application/vnd.microsoft.servicebus.json")
        {
            foreach (var element in (JArray)Answer.Parse(body))
            {
                Accept(queue, (string)element["Body"]!, (JObject)element["BrokerProperties"]!, (string?)element["UserProperties"]?["Diagnostic-Id"]);
            }
        }
        else
        {
            var trace = context.Request.Headers["Diagnostic-Id"].ToString();
            Accept(queue, body, (JObject)Answer.Parse(context.Request.Headers["BrokerProperties"]!), trace.Length == 0 ? null : (string?)JToken.Parse(trace));
        }

        context.Response.StatusCode = 201;
    }

    private async Task AnswerTokenAsync(HttpContext context)
    {
        if (context.Request.Headers["X-IDENTITY-HEADER"] != IdentityHeader || context.Request.Query["resource"] != "https://servicebus.azure.net")
        {
            Violations.Enqueue($"{context.Request.Path}{context.Request.QueryString}");
            context.Response.StatusCode = 400;
            return;
        }

        context.Response.ContentType = "application/json";
        var expires = (TimeProvider.System.GetUtcNow() + TimeSpan.FromHours(8)).ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture);
        await context.Response.WriteAsync(new JObject
        {
            ["access_token"] = Token, ["expires_on"] = expires, ["resource"] = "https://servicebus.azure.net", ["token_type"] = "Bearer",
        }.ToString());
    }

    private void Accept(string queue, string body, JObject properties, string? trace)
    {
        var message = new BusMessage(
            queue, (string)properties["MessageId"]!, (string?)properties["SessionId"], (string?)properties["Label"], body, trace,
            Interlocked.Increment(ref _sequence),
            properties["ScheduledEnqueueTimeUtc"] is { } at ? DateTimeOffset.ParseExact((string)at!, "r", CultureInfo.InvariantCulture) : null);
        if (!_known.TryAdd($"{queue}/{message.MessageId}", true))
        {
            return; // Duplicate detection.
        }

        Sent.Enqueue(message);
        _working.Add(WatchAsync(() => OfferAsync(message)));
    }

    private async Task OfferAsync(BusMessage message)
    {
        if (message.EnqueueAt - TimeProvider.System.GetUtcNow() is { } wait && wait > TimeSpan.Zero)
        {
            await Task.Delay(wait, TimeProvider.System, _stopping.Token);
        }

        if (message.SessionId is null)
        {
            await DeliverAsync(message);
            return;
        }

        var session = _sessions.GetOrAdd($"{message.Queue}/{message.SessionId}", _ =>
        {
            var channel = Channel.CreateUnbounded<BusMessage>();
            _working.Add(WatchAsync(async () =>
            {
                await foreach (var next in channel.Reader.ReadAllAsync(_stopping.Token))
                {
                    await DeliverAsync(next);
                }
            }));
            return channel;
        });
        session.Writer.TryWrite(message);
    }

    /// <summary>What breaks in the stand-in itself must not look like a message that the program lost.</summary>
    private Task WatchAsync(Func<Task> work) => Task.Run(async () =>
    {
        try
        {
            await work();
        }
        catch (Exception exception) when (!_stopping.IsCancellationRequested)
        {
            Violations.Enqueue($"The stand-in broke: {exception}");
        }
    });

    private async Task DeliverAsync(BusMessage message)
    {
        var function = Functions[message.Queue];
        var program = await _program.Task.WaitAsync(_stopping.Token);
        var succeeded = 0;
        for (var delivery = 1; succeeded < DeliverEach; delivery++)
        {
            if (delivery > MaximumDeliveries)
            {
                DeadLetters.Enqueue(message);
                return;
            }

            try
            {
                using var request = new HttpRequestMessage(HttpMethod.Post, $"/{function}")
                {
                    Content = new StringContent(message.ToInvocation(function, delivery).ToString(Formatting.None), Encoding.UTF8, "application/json"),
                };
                request.Headers.TransferEncodingChunked = true;
                using var response = await program.Client.SendAsync(request, _stopping.Token);
                if (Judge(function, response, await response.Content.ReadAsStringAsync(_stopping.Token)))
                {
                    succeeded++;
                }
            }
            catch (Exception exception) when (
                exception is HttpRequestException or IOException or ObjectDisposedException or OperationCanceledException && !_stopping.IsCancellationRequested)
            {
                // The handler died, and with it the client of its port: the host starts it again, and the invocation counts as failed.
                Failures.Enqueue($"{function}: connection lost");
                await Eventually.IsTrueAsync(() => program.AnswersAsync(), () => "the program started again", _stopping.Token);
            }
        }
    }

    /// <summary>Whether the host takes it for a success: 2xx, JSON, and an object.</summary>
    private bool Judge(string function, HttpResponseMessage response, string text)
    {
        var isJson = response.Content.Headers.ContentType is MediaTypeHeaderValue { MediaType: "application/json" or "application/problem+json" };
        if (!isJson || !text.StartsWith('{'))
        {
            Violations.Enqueue($"{function}: {(int)response.StatusCode} {response.Content.Headers.ContentType} '{text}'");
        }

        if (!response.IsSuccessStatusCode)
        {
            Failures.Enqueue($"{function}: {(int)response.StatusCode} {text}");
        }

        return response.IsSuccessStatusCode;
    }

    internal static JObject Sys(string function) => new()
    {
        ["MethodName"] = function, ["UtcNow"] = TimeProvider.System.GetUtcNow().ToString("o"), ["RandGuid"] = Guid.NewGuid().ToString(),
    };
}

/// <summary>A message as it lies in the queue.</summary>
internal sealed record BusMessage(
    string Queue, string MessageId, string? SessionId, string? Label, string Body, string? Trace, long SequenceNumber, DateTimeOffset? EnqueueAt)
{
    /// <summary>The invocation of a function with cardinality one. A timestamp of the extension is a date, everything else a text with JSON in it.</summary>
    public JObject ToInvocation(string function, int delivery)
    {
        var now = TimeProvider.System.GetUtcNow();
        var properties = Trace is null ? [] : new JObject { ["Diagnostic-Id"] = Trace };
        var metadata = new JObject
        {
            ["MessageReceiver"] = new JObject(),
            ["Client"] = new JObject { ["FullyQualifiedNamespace"] = "dingflow-test.servicebus.windows.net", ["IsClosed"] = false },
            ["DeliveryCount"] = JsonConvert.ToString(delivery),
            ["DeadLetterSource"] = "\"\"",
            ["LockToken"] = Wrap(Guid.NewGuid().ToString()),
            ["ExpiresAtUtc"] = now.AddDays(14).UtcDateTime,
            ["EnqueuedTimeUtc"] = now.UtcDateTime,
            ["EnqueuedTime"] = Wrap(now.ToString("o")),
            [nameof(MessageId)] = Wrap(MessageId),
            ["ContentType"] = Wrap("application/json"),
            [nameof(SequenceNumber)] = JsonConvert.ToString(SequenceNumber),
            ["ApplicationProperties"] = properties,
            ["UserProperties"] = properties.DeepClone(),
        };
        if (SessionId is not null)
        {
            metadata[nameof(SessionId)] = Wrap(SessionId);
        }

        if (Label is not null)
        {
            (metadata["Subject"], metadata[nameof(Label)]) = (Wrap(Label), Wrap(Label));
        }

        foreach (var property in ((JObject)Answer.Parse(Body)).Properties())
        {
            if (property.Value.Type is not (JTokenType.Array or JTokenType.Null) && !property.Name.EndsWith("trigger", StringComparison.OrdinalIgnoreCase))
            {
                metadata[property.Name] = property.Value is JObject inner ? inner.DeepClone() : property.Value.ToString(Formatting.None);
            }
        }

        metadata["sys"] = FunctionsHostStandIn.Sys(function);
        return new JObject { ["Data"] = new JObject { ["message"] = Wrap(Body) }, ["Metadata"] = metadata };

        static string Wrap(string text) => JsonConvert.ToString(text);
    }
}
