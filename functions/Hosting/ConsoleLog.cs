using System.Diagnostics;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Logging.Console;

namespace DingFlow.Hosting;

/// <summary>
/// Logs one line per event: time (UTC), level, category, text, trace id. The Functions host turns every line of the output into a log
/// entry of its own, so an event must not have two.
/// </summary>
internal sealed class ConsoleLog(TimeProvider time) : ConsoleFormatter(FormatterName)
{
    public const string FormatterName = "line";

    public static void Add(ILoggingBuilder logging, IConfiguration configuration)
    {
        // What the framework tells per request or at every start is noise; its trouble is not.
        logging.SetMinimumLevel(LogLevel.Information);
        logging.AddFilter("Microsoft", LogLevel.Warning);
        logging.AddFilter("System", LogLevel.Warning);
        // Their addresses carry user ids; the clients log what matters themselves.
        logging.AddFilter("System.Net.Http", LogLevel.None);
        foreach (var rule in configuration.GetSection("Logging:LogLevel").GetChildren())
        {
            if (Enum.TryParse<LogLevel>(rule.Value, ignoreCase: true, out var level))
            {
                logging.AddFilter(rule.Key == "Default" ? null : rule.Key, level);
            }
        }

        logging.AddConsole(options =>
        {
            options.FormatterName = FormatterName;
            options.LogToStandardErrorThreshold = LogLevel.Error;
        });
        logging.Services.AddSingleton<ConsoleFormatter, ConsoleLog>();
    }

    public override void Write<TState>(in LogEntry<TState> logEntry, IExternalScopeProvider? scopeProvider, TextWriter textWriter)
    {
        var text = logEntry.Formatter(logEntry.State, logEntry.Exception);
        if (logEntry.Exception is { } exception)
        {
            text = $"{text} {SafeText.Of(exception)}";
        }

        textWriter.Write(time.GetUtcNow().UtcDateTime.ToString("yyyy-MM-ddTHH:mm:ss.fffZ", System.Globalization.CultureInfo.InvariantCulture));
        textWriter.Write(' ');
        textWriter.Write(Level(logEntry.LogLevel));
        textWriter.Write(' ');
        textWriter.Write(logEntry.Category);
        textWriter.Write(": ");
        textWriter.Write(text.ReplaceLineEndings(" | "));
        if (Activity.Current is { } activity)
        {
            textWriter.Write(" trace=");
            textWriter.Write(activity.TraceId.ToHexString());
        }

        textWriter.WriteLine();
    }

    private static string Level(LogLevel level) => level switch
    {
        LogLevel.Trace => "trace",
        LogLevel.Debug => "debug",
        LogLevel.Information => "info",
        LogLevel.Warning => "warn",
        LogLevel.Error => "error",
        _ => "fatal",
    };
}
