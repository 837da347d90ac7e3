using System.Text.Json;
using DingFlow.Messaging;
using DingFlow.Settings;

namespace DingFlow.Hosting;

/// <summary>A function with its trigger.</summary>
public sealed record FunctionEntry(FunctionRegistration Registration, FunctionTrigger Trigger)
{
    /// <summary>Its name.</summary>
    public string Name => Registration.Name;
}

/// <summary>
/// Every function with what triggers it. The <c>function.json</c> files say what triggers what, the classes do the work; the two are
/// matched once at the start, and whatever does not fit together stops it.
/// </summary>
/// <param name="Host">Settings for all functions.</param>
/// <param name="Functions">The functions by name, in ordinal order.</param>
public sealed record FunctionCatalog(HostJson Host, IReadOnlyList<FunctionEntry> Functions)
{
    /// <summary>The name of the connection that every queue trigger uses.</summary>
    public const string QueueConnection = "ServiceBusConnection";

    internal static readonly JsonDocumentOptions JsonOptions = new() { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true };

    /// <summary>The functions that a kind of trigger starts.</summary>
    public IEnumerable<(FunctionEntry Function, TTrigger Trigger)> Of<TTrigger>()
        where TTrigger : FunctionTrigger
    {
        foreach (var function in Functions)
        {
            if (function.Trigger is TTrigger trigger)
            {
                yield return (function, trigger);
            }
        }
    }

    /// <summary>Reads <c>host.json</c> and every <c>&lt;FunctionName&gt;/function.json</c> below the directory and matches them with the classes.</summary>
    /// <param name="directory">Where the Functions host looks, too: the directory of the program.</param>
    /// <param name="registrations">The classes.</param>
    /// <param name="configuration">Resolves <c>%Setting%</c>.</param>
    /// <param name="queues">The queues that exist.</param>
    /// <param name="faults">Receives what does not fit, by the function's name.</param>
    public static FunctionCatalog Read(
        string directory, IEnumerable<FunctionRegistration> registrations, IConfiguration configuration, IReadOnlyList<QueueDefinition> queues,
        SettingsFaults faults)
    {
        ArgumentNullException.ThrowIfNull(registrations);
        ArgumentNullException.ThrowIfNull(faults);
        var classes = new Dictionary<string, FunctionRegistration>(StringComparer.Ordinal);
        foreach (var registration in registrations)
        {
            if (!classes.TryAdd(registration.Name, registration))
            {
                faults.Add(registration.Name, "two functions have this name");
            }
        }

        var functions = new List<FunctionEntry>();
        var reader = new FunctionJsonReader(configuration, queues, faults);
        var folders = Directory.GetDirectories(directory);
        Array.Sort(folders, StringComparer.Ordinal);
        foreach (var folder in folders)
        {
            var path = Path.Combine(folder, "function.json");
            var name = Path.GetFileName(folder);
            if (!File.Exists(path))
            {
                continue;
            }

            if (!classes.Remove(name, out var registration))
            {
                faults.Add(name, "has a function.json but no class was added under this name");
            }
            else if (reader.Read(name, path) is { } trigger)
            {
                Match(registration, trigger, faults);
                functions.Add(new FunctionEntry(registration, trigger));
            }
        }

        foreach (var name in classes.Keys)
        {
            faults.Add(name, $"has no function.json (expected at {name}/function.json beside the program)");
        }

        return new FunctionCatalog(HostJson.Read(Path.Combine(directory, "host.json"), faults), functions);
    }

    private static void Match(FunctionRegistration registration, FunctionTrigger trigger, SettingsFaults faults)
    {
        var expected = trigger switch
        {
            FunctionTrigger.Http => typeof(IHttpFunction),
            FunctionTrigger.Queue => typeof(IQueueFunction),
            FunctionTrigger.Timer => typeof(ITimerFunction),
            _ => throw new InvalidOperationException("A trigger without an interface."),
        };
        if (!expected.IsAssignableFrom(registration.Type))
        {
            faults.Add(registration.Name, $"its function.json declares a trigger for {expected.Name}, which the class is not");
        }

        foreach (var role in new[] { registration.Role, registration.OrRole }.OfType<string>().Where(r => trigger is not FunctionTrigger.Http || !Roles.All.Contains(r)))
        {
            faults.Add(registration.Name, trigger is FunctionTrigger.Http ? $"the role {role} does not exist" : "only HTTP functions take a role");
        }
    }
}

/// <summary>Reads one <c>function.json</c> into its trigger.</summary>
internal sealed class FunctionJsonReader(IConfiguration configuration, IReadOnlyList<QueueDefinition> queues, SettingsFaults faults)
{
    /// <summary>The trigger, or <see langword="null"/> after a fault.</summary>
    public FunctionTrigger? Read(string name, string path)
    {
        try
        {
            using var document = JsonDocument.Parse(File.ReadAllBytes(path), FunctionCatalog.JsonOptions);
            return Read(name, document.RootElement.GetProperty("bindings"));
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException or KeyNotFoundException)
        {
            faults.Add(name, "its function.json is not an object with an array of bindings");
            return null;
        }
    }

    private FunctionTrigger? Read(string name, JsonElement bindings)
    {
        // Plain loops: LINQ over JsonElement would be compiled at every start.
        var triggers = 0;
        JsonElement trigger = default;
        foreach (var binding in bindings.EnumerateArray())
        {
            if (Text(binding, "type").EndsWith("Trigger", StringComparison.OrdinalIgnoreCase))
            {
                (trigger, triggers) = (binding, triggers + 1);
            }
        }

        if (triggers != 1)
        {
            return Refuse(name, "its function.json must have exactly one trigger");
        }

        if (Text(trigger, "direction") is not ("in" or ""))
        {
            return Refuse(name, "the direction of its trigger must be in");
        }

        return Text(trigger, "type").ToUpperInvariant() switch
        {
            "HTTPTRIGGER" => ReadHttp(name, trigger, bindings),
            "SERVICEBUSTRIGGER" => ReadQueue(name, trigger, bindings),
            "TIMERTRIGGER" => ReadTimer(name, trigger, bindings),
            var type => Refuse(name, $"its trigger {type} is not known here"),
        };
    }

    private FunctionTrigger.Http? ReadHttp(string name, JsonElement trigger, JsonElement bindings)
    {
        // The host forwards the original request only to functions with exactly these two bindings.
        var answers = false;
        foreach (var binding in bindings.EnumerateArray())
        {
            answers |= Text(binding, "type") == "http" && Text(binding, "direction") == "out";
        }

        if (!answers || bindings.GetArrayLength() != 2)
        {
            Refuse(name, "its bindings must be exactly httpTrigger in and http out, or the host does not forward the request");
        }

        if (Text(trigger, "authLevel") != "anonymous")
        {
            Refuse(name, "its authLevel must be anonymous: the program authenticates its callers itself");
        }

        var route = Text(trigger, "route");
        if (route.Length == 0 || route.StartsWith('/'))
        {
            Refuse(name, "its route is missing or begins with a slash");
            return null;
        }

        var methods = new List<string>();
        if (trigger.TryGetProperty("methods", out var list))
        {
            foreach (var method in list.EnumerateArray())
            {
                methods.Add((method.GetString() ?? "").ToUpperInvariant());
            }
        }

        return new FunctionTrigger.Http(route, methods);
    }

    private FunctionTrigger.Queue? ReadQueue(string name, JsonElement trigger, JsonElement bindings)
    {
        if (bindings.GetArrayLength() != 1)
        {
            Refuse(name, "it may have no binding but its trigger: messages are sent by the program itself");
        }

        if (Text(trigger, "connection") != FunctionCatalog.QueueConnection)
        {
            Refuse(name, $"its connection must be {FunctionCatalog.QueueConnection}");
        }

        if (Resolve(name, Text(trigger, "queueName")) is not { } queueName)
        {
            return null;
        }

        var deadLetters = queueName.EndsWith(FunctionTrigger.Queue.DeadLetterSuffix, StringComparison.OrdinalIgnoreCase);
        queueName = deadLetters ? queueName[..^FunctionTrigger.Queue.DeadLetterSuffix.Length] : queueName;
        var sessions = trigger.TryGetProperty("isSessionsEnabled", out var enabled) && enabled.ValueKind == JsonValueKind.True;
        var queue = queues.FirstOrDefault(queue => queue.Name == queueName);
        if (queue is null)
        {
            Refuse(name, $"its queue '{queueName}' does not exist");
        }
        else if (deadLetters ? sessions : queue.RequiresSession != sessions)
        {
            Refuse(name, deadLetters ? "isSessionsEnabled must be false: dead letters have no sessions" : $"isSessionsEnabled must be {(queue.RequiresSession ? "true" : "false")}, as the queue {queueName} is");
        }

        var binding = BindingName(name, trigger);
        return queue is null || binding is null ? null
            : new FunctionTrigger.Queue(binding, queueName, sessions, Text(trigger, "cardinality").Equals("many", StringComparison.OrdinalIgnoreCase))
            {
                IsDeadLetters = deadLetters,
            };
    }

    private FunctionTrigger.Timer? ReadTimer(string name, JsonElement trigger, JsonElement bindings)
    {
        if (bindings.GetArrayLength() != 1)
        {
            Refuse(name, "it may have no binding but its trigger");
        }

        if (Resolve(name, Text(trigger, "schedule")) is not { } expression)
        {
            return null;
        }

        if (Schedule.TryParse(expression) is not { } schedule)
        {
            Refuse(name, $"its schedule '{expression}' must have six NCRONTAB fields, seconds first");
            return null;
        }

        return BindingName(name, trigger) is { } binding ? new FunctionTrigger.Timer(binding, schedule) : null;
    }

    private string? BindingName(string name, JsonElement trigger)
    {
        var binding = Text(trigger, "name");
        if (binding.Length > 0)
        {
            return binding;
        }

        Refuse(name, "its trigger has no name");
        return null;
    }

    /// <summary><c>%Setting%</c> stands for the setting's value, as under the Functions host.</summary>
    private string? Resolve(string name, string text)
    {
        if (text.Length < 3 || text[0] != '%' || text[^1] != '%')
        {
            return text;
        }

        var setting = text[1..^1];
        if (configuration[setting.Replace("__", ConfigurationPath.KeyDelimiter, StringComparison.Ordinal)] is { Length: > 0 } value)
        {
            return value;
        }

        faults.Add(setting, $"is missing; the function.json of {name} refers to it");
        return null;
    }

    private FunctionTrigger? Refuse(string name, string fault)
    {
        faults.Add(name, fault);
        return null;
    }

    private static string Text(JsonElement binding, string property) =>
        binding.TryGetProperty(property, out var value) && value.ValueKind == JsonValueKind.String ? value.GetString()! : "";
}
