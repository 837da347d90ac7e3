using System.Globalization;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using DingFlow.Settings;

namespace DingFlow.Offboarding;

/// <summary>
/// Reads a policy: the plans that the program carries, or those of a file (<c>Offboarding:PlanFile</c>) or of a setting
/// (<c>Offboarding:Plan</c>, the same JSON as a text). Everything that is wrong with it is listed, each with its place.
/// </summary>
public sealed class PlanReader
{
    private const string Default = "Offboarding/Plans/default-plan.json";
    private const int LargestPolicy = 256 * 1024;
    private const int LongestName = 60;

    private static readonly TimeSpan ShortestTarget = TimeSpan.FromMinutes(1);
    private static readonly TimeSpan LongestTarget = TimeSpan.FromDays(1);

    private readonly SettingsReader _settings;
    private readonly string _setting;

    private PlanReader(SettingsReader settings, string setting) => (_settings, _setting) = (settings, setting);

    /// <summary>The settings name plans of their own.</summary>
    public static bool IsSet(IConfiguration configuration)
    {
        var settings = new SettingsReader(configuration, "Offboarding", new SettingsFaults());
        return settings.Text("PlanFile") is not null || settings.Text("Plan") is not null;
    }

    /// <summary>Reads the plans; what is wrong is added to the faults.</summary>
    public static OffboardingPlans Read(IConfiguration configuration, SettingsFaults faults)
    {
        var settings = new SettingsReader(configuration, "Offboarding", faults);
        var (file, text) = (settings.Text("PlanFile"), settings.Text("Plan"));
        if (file is not null && text is not null)
        {
            settings.Fault("Plan", "must not be set beside Offboarding:PlanFile");
        }

        var setting = file is not null ? "PlanFile" : "Plan";
        return new PlanReader(settings, setting).Parse(file is not null ? ReadFile(settings, file) : text is not null ? Encoding.UTF8.GetBytes(text) : null) ?? Carried();
    }

    /// <summary>The plans that the program carries within itself: disable, sign out, read back.</summary>
    public static OffboardingPlans Carried()
    {
        using var stream = typeof(PlanReader).Assembly.GetManifestResourceStream(Default)!;
        using var copy = new MemoryStream();
        stream.CopyTo(copy);
        var faults = new SettingsFaults();
        var plans = new PlanReader(new SettingsReader(new ConfigurationBuilder().Build(), "Offboarding", faults), "Plan").Parse(copy.ToArray());
        faults.ThrowIfAny();
        return plans!;
    }

    private static byte[]? ReadFile(SettingsReader settings, string file)
    {
        try
        {
            // Beside the program, where a deployment puts it; an absolute path is taken as it is.
            var path = Path.Combine(AppContext.BaseDirectory, file);
            var bytes = File.ReadAllBytes(File.Exists(path) ? path : Path.GetFullPath(file));
            if (bytes.Length <= LargestPolicy)
            {
                return bytes;
            }

            settings.Fault("PlanFile", "is too large to be a policy");
        }
        catch (Exception exception) when (exception is IOException or UnauthorizedAccessException or ArgumentException or NotSupportedException)
        {
            settings.Fault("PlanFile", "cannot be read");
        }

        return null;
    }

    private OffboardingPlans? Parse(byte[]? bytes)
    {
        if (bytes is null)
        {
            return null;
        }

        JsonDocument document;
        try
        {
            document = JsonDocument.Parse(bytes.AsMemory(), new JsonDocumentOptions { CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true, AllowDuplicateProperties = false });
        }
        catch (JsonException exception)
        {
            Fault("", exception.LineNumber is { } line ? string.Create(CultureInfo.InvariantCulture, $"is not JSON (line {line + 1})") : "is not JSON, or has a property twice");
            return null;
        }

        using (document)
        {
            var root = document.RootElement;
            if (!IsObject(root, "the policy", "policy", "plans"))
            {
                return null;
            }

            var policy = Name(root, "policy", "policy");
            var plans = Items(root, "plans", "plans").Select((plan, index) => ReadPlan(plan, string.Create(CultureInfo.InvariantCulture, $"plans[{index}]"))).OfType<OffboardingPlan>().ToList();
            foreach (var twice in plans.GroupBy(plan => plan.Name, StringComparer.OrdinalIgnoreCase).Where(group => group.Count() > 1))
            {
                Fault("plans", $"there are two plans {twice.Key}");
            }

            if (plans.Count == 0)
            {
                Fault("plans", "there must be at least one plan");
                return null;
            }

            if (!plans[^1].When.IsEmpty)
            {
                Fault("plans", "the last plan must have no \"when\": it is for everybody whom no other plan is for");
            }

            for (var i = 0; i < plans.Count - 1; i++)
            {
                if (plans[i].When.IsEmpty)
                {
                    Fault(string.Create(CultureInfo.InvariantCulture, $"plans[{i}]"), "is for everybody, so that the plans after it are for nobody");
                }
            }

            return new(policy, Convert.ToHexStringLower(SHA256.HashData(bytes)), plans);
        }
    }

    private OffboardingPlan? ReadPlan(JsonElement plan, string place)
    {
        if (!IsObject(plan, place, "name", "when", "target", "steps"))
        {
            return null;
        }

        var steps = Items(plan, "steps", place + ".steps").Select((step, index) => ReadStep(step, string.Create(CultureInfo.InvariantCulture, $"{place}.steps[{index}]"))).OfType<PlanStep>().ToList();
        foreach (var twice in steps.GroupBy(step => step.Step.Id).Where(group => group.Count() > 1))
        {
            Fault(place + ".steps", $"has {twice.Key} twice");
        }

        foreach (var target in steps.GroupBy(step => step.Step.Target))
        {
            foreach (var late in target.SkipWhile(step => step.Step.Freezes).Where(step => step.Step.Freezes))
            {
                Fault(place + ".steps", $"has {late.Step.Id} after a step that does not end access: disabling and signing out come first");
            }
        }

        // What ends access belongs to every plan, whether it says so or not.
        var missing = StepCatalogue.All.Where(step => step.Freezes && !steps.Exists(s => s.Step == step)).Select(step => new PlanStep(step, StepRules.Usual));
        return new(
            Name(plan, "name", place + ".name"),
            plan.TryGetProperty("when", out var when) ? ReadCondition(when, place + ".when") : new PlanCondition(),
            [.. steps.Concat(missing).OrderBy(step => step.Step.Freezes ? 0 : 1).ThenBy(step => step.Step.Freezes ? IndexOf(step.Step) : 0)])
        {
            Target = plan.TryGetProperty("target", out _) ? Duration(plan, "target", place, default, ShortestTarget, LongestTarget) : null,
        };
    }

    private static int IndexOf(StepDefinition step) => StepCatalogue.All.ToList().IndexOf(step);

    private PlanCondition ReadCondition(JsonElement when, string place)
    {
        if (!IsObject(when, place, "kinds", "sources", "departments"))
        {
            return new();
        }

        var kinds = new List<PersonKind>();
        foreach (var text in Texts(when, "kinds", place + ".kinds"))
        {
            if (Words.TryRead<PersonKind>(text, out var kind))
            {
                kinds.Add(kind);
            }
            else
            {
                Fault(place + ".kinds", "must be enterprise, ordinary, admin or synced");
            }
        }

        var departments = new List<long>();
        foreach (var item in Items(when, "departments", place + ".departments", optional: true))
        {
            if (item.ValueKind == JsonValueKind.Number && item.TryGetInt64(out var department))
            {
                departments.Add(department);
            }
            else
            {
                Fault(place + ".departments", "must be whole numbers");
            }
        }

        var sources = Texts(when, "sources", place + ".sources");
        foreach (var source in sources.Where(source => source.Split('/') is not ["hr" or "dingtalk" or "signals", { Length: > 0 }]))
        {
            Fault(place + ".sources", "must be like hr/acme or dingtalk/zhuhai");
            break;
        }

        return new() { Kinds = kinds, Sources = sources, Departments = departments };
    }

    private PlanStep? ReadStep(JsonElement step, string place)
    {
        if (!IsObject(
            step, place, "step", "critical", "continueOnError", "timeout", "maxAttempts", "acceptUndocumented", "handOverTo", "groups", "processCodes", "reasons", "keep"))
        {
            return null;
        }

        var id = step.TryGetProperty("step", out var named) && named.ValueKind == JsonValueKind.String ? named.GetString()! : "";
        if (StepCatalogue.Find(id) is not { } definition)
        {
            Fault(place + ".step", $"must be one of {string.Join(", ", StepCatalogue.All.Select(known => known.Id))}");
            return null;
        }

        foreach (var parameter in (string[])["handOverTo", "groups", "processCodes", "reasons", "keep"])
        {
            var given = step.TryGetProperty(parameter, out _);
            var known = definition.Parameters.Contains(parameter);
            if (given && !known)
            {
                Fault($"{place}.{parameter}", $"is no parameter of {id}");
            }
            else if (!given && known && parameter is not "keep")
            {
                Fault($"{place}.{parameter}", $"is missing: {id} needs it");
            }
        }

        var critical = Boolean(step, "critical", place, definition.Freezes);
        var continues = Boolean(step, "continueOnError", place, true);
        if (definition.Freezes && !critical)
        {
            Fault(place + ".critical", $"must not be false: {id} ends access");
        }

        if (definition.Freezes && !continues)
        {
            Fault(place + ".continueOnError", $"must not be false: what else ends access must not wait for {id}");
        }

        if (!definition.Documented && !Boolean(step, "acceptUndocumented", place, false))
        {
            Fault(place + ".acceptUndocumented", $"must be true for {id}: its calls are known from DingTalk's SDK only, not from its reference");
        }

        return new(definition, new StepRules
        {
            Critical = critical,
            ContinueOnError = continues,
            Timeout = Duration(step, "timeout", place, StepRules.Usual.Timeout, TimeSpan.FromSeconds(1), TimeSpan.FromMinutes(10)),
            MaxAttempts = Attempts(step, place, critical ? null : 5),
            HandOverTo = step.TryGetProperty("handOverTo", out var heir) ? Text(heir, place + ".handOverTo") : null,
            Groups = Given(step, "groups", place),
            ProcessCodes = Given(step, "processCodes", place),
            Reasons = Given(step, "reasons", place),
            Keep = Given(step, "keep", place),
        });
    }

    private List<string>? Given(JsonElement parent, string name, string place)
    {
        if (!parent.TryGetProperty(name, out _))
        {
            return null;
        }

        var texts = Texts(parent, name, $"{place}.{name}");
        if (texts.Count == 0)
        {
            Fault($"{place}.{name}", "must not be empty");
        }

        return texts;
    }

    private bool Boolean(JsonElement parent, string name, string place, bool usual)
    {
        if (!parent.TryGetProperty(name, out var value))
        {
            return usual;
        }

        if (value.ValueKind is JsonValueKind.True or JsonValueKind.False)
        {
            return value.GetBoolean();
        }

        Fault($"{place}.{name}", "must be true or false");
        return usual;
    }

    private TimeSpan Duration(JsonElement parent, string name, string place, TimeSpan usual, TimeSpan shortest, TimeSpan longest)
    {
        if (!parent.TryGetProperty(name, out var value))
        {
            return usual;
        }

        if (value.ValueKind == JsonValueKind.String && TimeSpan.TryParse(value.GetString(), CultureInfo.InvariantCulture, out var duration)
            && duration >= shortest && duration <= longest)
        {
            return duration;
        }

        Fault($"{place}.{name}", $"must be a duration from {shortest:c} to {longest:c}");
        return usual;
    }

    private int? Attempts(JsonElement step, string place, int? usual)
    {
        if (!step.TryGetProperty("maxAttempts", out var value))
        {
            return usual;
        }

        if (value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out var attempts) && attempts is >= 1 and <= 1000)
        {
            return attempts;
        }

        Fault($"{place}.maxAttempts", "must be a whole number from 1 to 1000");
        return usual;
    }

    private string Name(JsonElement parent, string name, string place)
    {
        if (parent.TryGetProperty(name, out var value) && value.ValueKind == JsonValueKind.String && value.GetString() is { Length: > 0 and <= LongestName } text
            && text.All(c => char.IsAsciiLetterOrDigit(c) || c is '-' or '_' or '.'))
        {
            return text;
        }

        Fault(place, "must be a name of at most 60 letters, digits, '-', '_' or '.'");
        return "";
    }

    private string? Text(JsonElement value, string place)
    {
        if (value.ValueKind == JsonValueKind.String && value.GetString() is { Length: > 0 and <= 200 } text)
        {
            return text;
        }

        Fault(place, "must be a text");
        return null;
    }

    private List<string> Texts(JsonElement parent, string name, string place) =>
        [.. Items(parent, name, place, optional: true).Select(item => Text(item, place)).OfType<string>()];

    private JsonElement.ArrayEnumerator Items(JsonElement parent, string name, string place, bool optional = false)
    {
        if (!parent.TryGetProperty(name, out var value))
        {
            if (!optional)
            {
                Fault(place, "is missing");
            }

            return default;
        }

        if (value.ValueKind == JsonValueKind.Array && value.GetArrayLength() <= 200)
        {
            return value.EnumerateArray();
        }

        Fault(place, "must be a list of at most 200");
        return default;
    }

    private bool IsObject(JsonElement value, string place, params ReadOnlySpan<string> known)
    {
        if (value.ValueKind != JsonValueKind.Object)
        {
            Fault(place, "must be an object");
            return false;
        }

        foreach (var property in value.EnumerateObject())
        {
            if (!known.Contains(property.Name))
            {
                Fault(place, $"there is no property {(property.Name.Length > LongestName ? "of that name" : property.Name)}");
            }
        }

        return true;
    }

    private void Fault(string place, string fault) => _settings.Fault(_setting, place.Length == 0 ? fault : $"{place}: {fault}");
}
