using DingFlow.Hosting;
using DingFlow.Messaging;
using DingFlow.Settings;
using Microsoft.Extensions.Configuration;

namespace DingFlow.Tests.Hosting;

public sealed class FunctionCatalogTests : IDisposable
{
    private static readonly Type Http = typeof(HttpProbe);
    private static readonly Type Queue = typeof(QueueProbe);
    private static readonly Type Timer = typeof(TimerProbe);

    private readonly TemporaryDirectory _directory = new();
    private readonly SettingsFaults _faults = new();
    private readonly Dictionary<string, string?> _settings = [];
    private readonly List<FunctionRegistration> _classes = [];

    public FunctionCatalogTests() => File.WriteAllText(Path.Combine(_directory.Path, "host.json"), "{}");

    public void Dispose() => _directory.Dispose();

    [Fact]
    public void Every_kind_of_trigger_is_read()
    {
        Add("A", Http, TestProgram.HttpJson("hr/{source}", "post"), Roles.OperationsRead);
        Add("B", Queue, TestProgram.QueueJson(Queues.Offboarding));
        Add("C", Timer, TestProgram.TimerJson("*/30 * * * * *"));
        Add("D", Queue, TestProgram.QueueJson(Queues.Alerts, "many"));

        var catalog = Read();

        Assert.Empty(_faults.All);
        var http = Assert.IsType<FunctionTrigger.Http>(catalog.Functions[0].Trigger);
        Assert.Equal(("hr/{source}", "POST"), (http.Route, Assert.Single(http.Methods)));
        Assert.Equal(new FunctionTrigger.Queue("msg", "offboarding", true, false), catalog.Functions[1].Trigger);
        Assert.Equal("*/30 * * * * *", Assert.IsType<FunctionTrigger.Timer>(catalog.Functions[2].Trigger).Schedule.Expression);
        Assert.Equal(new FunctionTrigger.Queue("msg", "alerts", false, true), catalog.Functions[3].Trigger);
    }

    [Fact]
    public void The_products_own_host_json_is_read()
    {
        File.Copy(Path.Combine(AppContext.BaseDirectory, "host.json"), Path.Combine(_directory.Path, "host.json"), overwrite: true);

        var host = Read().Host;

        Assert.Empty(_faults.All);
        Assert.Equal("api", host.RoutePrefix);
        Assert.True(host.MaxConcurrentSessions >= 64);
        Assert.Equal(TimeSpan.FromMinutes(10), host.FunctionTimeout);
    }

    [Fact]
    public void A_class_without_function_json_is_a_fault()
    {
        _classes.Add(new FunctionRegistration("Lonely", Http, null));

        AssertFault("Lonely", "has no function.json");
    }

    [Fact]
    public void A_function_json_without_class_is_a_fault()
    {
        Add("Orphan", Http, TestProgram.HttpJson("x", "get"));
        _classes.Clear();

        AssertFault("Orphan", "no class");
    }

    [Fact]
    public void A_class_of_another_kind_is_a_fault()
    {
        Add("Mixed", Timer, TestProgram.HttpJson("x", "get"));

        AssertFault("Mixed", "IHttpFunction");
    }

    [Fact]
    public void A_role_that_does_not_exist_is_a_fault()
    {
        Add("Roled", Http, TestProgram.HttpJson("x", "get"), "operations.everything");

        AssertFault("Roled", "operations.everything");
    }

    [Fact]
    public void A_role_of_a_queue_function_is_a_fault()
    {
        Add("Roled", Queue, TestProgram.QueueJson(Queues.Alerts), Roles.OperationsRead);

        AssertFault("Roled", "only HTTP functions");
    }

    [Theory]
    [InlineData("""{"bindings":[{"type":"httpTrigger","direction":"in","name":"r","authLevel":"anonymous","route":"x"}]}""", "exactly httpTrigger in and http out")]
    [InlineData("""
        {"bindings":[{"type":"httpTrigger","direction":"in","name":"r","authLevel":"anonymous","route":"x"},
        {"type":"http","direction":"out","name":"res"},{"type":"serviceBus","direction":"out","name":"q"}]}
        """, "exactly httpTrigger in and http out")]
    [InlineData("""
        {"bindings":[{"type":"httpTrigger","direction":"in","name":"r","authLevel":"function","route":"x"},{"type":"http","direction":"out","name":"res"}]}
        """, "authLevel")]
    [InlineData("""
        {"bindings":[{"type":"httpTrigger","direction":"in","name":"r","authLevel":"anonymous"},{"type":"http","direction":"out","name":"res"}]}
        """, "route")]
    [InlineData("""{"bindings":[{"type":"http","direction":"out","name":"res"}]}""", "exactly one trigger")]
    [InlineData("""{"bindings":{}}""", "array of bindings")]
    [InlineData("""{""", "array of bindings")]
    [InlineData("""{"bindings":[{"type":"blobTrigger","direction":"in","name":"b"}]}""", "not known")]
    public void An_http_function_json_that_the_host_would_not_forward_is_a_fault(string json, string fault)
    {
        Add("Web", Http, json);

        AssertFault("Web", fault);
    }

    [Theory]
    [InlineData("offboarding", "ServiceBusConnection", "false", "isSessionsEnabled must be true")]
    [InlineData("alerts", "ServiceBusConnection", "true", "isSessionsEnabled must be false")]
    [InlineData("unheard-of", "ServiceBusConnection", "true", "does not exist")]
    [InlineData("alerts", "Other", "false", "connection must be ServiceBusConnection")]
    public void A_queue_function_json_that_does_not_fit_its_queue_is_a_fault(string queue, string connection, string sessions, string fault)
    {
        Add("Worker", Queue, $$"""
            {"bindings":[{"type":"serviceBusTrigger","direction":"in","name":"msg","queueName":"{{queue}}","connection":"{{connection}}","isSessionsEnabled":{{sessions}}}]}
            """);

        AssertFault("Worker", fault);
    }

    [Theory]
    [InlineData("*/5 * * * *")]
    [InlineData("every minute")]
    [InlineData("0 0 0 30 2 *")]
    [InlineData("")]
    public void A_schedule_that_is_none_is_a_fault(string schedule)
    {
        Add("Clock", Timer, TestProgram.TimerJson(schedule));

        AssertFault("Clock", "six NCRONTAB fields");
    }

    [Fact]
    public void A_schedule_may_be_a_setting()
    {
        _settings["Alerts:Interval"] = "0 */5 * * * *";
        Add("Clock", Timer, TestProgram.TimerJson("%Alerts:Interval%"));

        var trigger = Assert.IsType<FunctionTrigger.Timer>(Assert.Single(Read().Functions).Trigger);

        Assert.Empty(_faults.All);
        Assert.Equal("0 */5 * * * *", trigger.Schedule.Expression);
    }

    [Fact]
    public void A_setting_that_a_function_json_names_must_be_there()
    {
        Add("Clock", Timer, TestProgram.TimerJson("%Alerts:Interval%"));

        AssertFault("Alerts:Interval", "Clock");
    }

    private void Add(string name, Type type, string json, string? role = null)
    {
        Directory.CreateDirectory(Path.Combine(_directory.Path, name));
        File.WriteAllText(Path.Combine(_directory.Path, name, "function.json"), json);
        _classes.Add(new FunctionRegistration(name, type, role));
    }

    private FunctionCatalog Read() => FunctionCatalog.Read(
        _directory.Path, _classes, new ConfigurationBuilder().AddInMemoryCollection(_settings).Build(), Queues.All, _faults);

    private void AssertFault(string name, string text)
    {
        Read();
        var fault = Assert.Single(_faults.All);
        Assert.StartsWith($"{name}: ", fault, StringComparison.Ordinal);
        Assert.Contains(text, fault, StringComparison.Ordinal);
    }
}
