using System.Globalization;
using System.Net.Http.Headers;
using System.Text;
using DingFlow.Hosting;
using DingFlow.Remote;
using Newtonsoft.Json.Linq;

namespace DingFlow.HrSystems;

/// <summary>Asks one HR system about one person.</summary>
internal interface IHrSystemClient
{
    /// <summary>The person of that id.</summary>
    Task<RemoteResult<EmployeeRecord>> FindAsync(string personId, CancellationToken cancellationToken);
}

/// <summary>
/// BambooHR: <c>GET /api/v1/employees/{id}/</c> with the API key as the user of Basic authentication. It throttles with 429 (until
/// September 2026 with 503) and <c>Retry-After</c>, and publishes no number. A field that the key may not see is silently left out.
/// Source: documentation.bamboohr.com, "Technical Overview", "Get Employee", "Planned Changes to the API".
/// </summary>
internal sealed class BambooHrClient(HrSystem system, HrSystemCalls calls) : IHrSystemClient
{
    private static readonly string Fields = Uri.EscapeDataString("employeeNumber,workEmail,status,terminationDate");

    public async Task<RemoteResult<EmployeeRecord>> FindAsync(string personId, CancellationToken cancellationToken)
    {
        var address = calls.Address($"/api/v1/employees/{Uri.EscapeDataString(personId)}/?fields={Fields}&onlyCurrent=false");
        var answer = await calls.SendAsync(
            "employee", () => Requests.Get(address, Requests.Basic(system.Key!, "x")), cancellationToken);
        if (!answer.IsOk)
        {
            return RemoteResult<EmployeeRecord>.From(answer);
        }

        return new(RemoteStatus.Ok, new EmployeeRecord
        {
            State = answer.Value.Text("status")?.ToUpperInvariant() switch
            {
                "ACTIVE" => EmploymentState.Employed, "INACTIVE" => EmploymentState.Ended, _ => EmploymentState.Unknown,
            },
            EndsAt = answer.Value.Day("terminationDate", system.Days),
            Email = answer.Value.Text("workEmail"),
            EmployeeNumber = answer.Value.Text("employeeNumber"),
        });
    }
}

/// <summary>
/// HiBob: <c>POST /v1/people/{id}</c> with the fields wanted, by a service user (Basic authentication). 50 calls a minute; 429 with
/// <c>X-RateLimit-Reset</c>; many refused sign-ins get the caller blocked. A field that the service user may not see is silently left
/// out. Source: apidocs.hibob.com, "People read API contract", "Rate limiting".
/// </summary>
internal sealed class HiBobClient(HrSystem system, HrSystemCalls calls) : IHrSystemClient
{
    private const string Fields =
        """{"fields":["root.id","root.email","work.employeeIdInCompany","work.site","internal.status","internal.lifecycleStatus","internal.terminationDate"],"humanReadable":"REPLACE"}""";

    public async Task<RemoteResult<EmployeeRecord>> FindAsync(string personId, CancellationToken cancellationToken)
    {
        var address = calls.Address($"/v1/people/{Uri.EscapeDataString(personId)}");
        var answer = await calls.SendAsync(
            "people", () => Requests.Post(address, Requests.Basic(system.ClientId!, system.ClientSecret!), Fields), cancellationToken);
        if (!answer.IsOk)
        {
            return RemoteResult<EmployeeRecord>.From(answer);
        }

        var zone = Field(answer.Value, "work", "site") is { } site && system.SiteZones.TryGetValue(site, out var known) ? known : system.Days.Zone;
        return new(RemoteStatus.Ok, new EmployeeRecord
        {
            State = StateOf(Field(answer.Value, "internal", "lifecycleStatus"), Field(answer.Value, "internal", "status")),
            EndsAt = LocalDays.TryReadDay(Field(answer.Value, "internal", "terminationDate"), out var day) ? system.Days.MomentOf(day, zone) : null,
            Email = Field(answer.Value, "root", "email"),
            EmployeeNumber = Field(answer.Value, "work", "employeeIdInCompany"),
        });
    }

    /// <summary>Answers name fields by <c>/category/field</c> with a <c>value</c>, or nest them; those of the root stand at the top.</summary>
    private static string? Field(JToken? answer, string category, string field) => answer is not JObject person ? null
        : person.Text($"/{category}/{field}", "value") ?? person.Text($"/{category}/{field}")
            ?? person.Text(category, field) ?? (category == "root" ? person.Text(field) : null);

    private static EmploymentState StateOf(string? lifecycle, string? status) => lifecycle?.ToUpperInvariant() switch
    {
        "TERMINATED" or "GARDEN LEAVE" or "GARDENLEAVE" => EmploymentState.Ended,
        "EMPLOYED" or "HIRED" or "NOTICE PERIOD" or "NOTICEPERIOD" => EmploymentState.Employed,
        null => status?.ToUpperInvariant() == "ACTIVE" ? EmploymentState.Employed : EmploymentState.Unknown,
        var other => other.Contains("LEAVE", StringComparison.Ordinal) ? EmploymentState.OnLeave : EmploymentState.Unknown,
    };
}

/// <summary>
/// Personio, API version 2: <c>POST /v2/auth/token</c> with client credentials, then <c>GET /v2/persons/{id}</c> and
/// <c>GET /v2/persons/{id}/employments</c>. 429 when throttled; the sign-in takes 60 calls a minute. A person can have several employments,
/// of which the one that lasts longest counts. Source: developer.personio.de, changelog and discussions on <c>termination</c>
/// (<c>last_working_date</c>, <c>termination_date</c>).
/// </summary>
internal sealed class PersonioClient(HrSystem system, HrSystemCalls calls, HrSystemTokens tokens) : IHrSystemClient
{
    public async Task<RemoteResult<EmployeeRecord>> FindAsync(string personId, CancellationToken cancellationToken)
    {
        var path = $"/v2/persons/{Uri.EscapeDataString(personId)}";
        var person = await tokens.SendAsync("person", token => Requests.Get(calls.Address(path), token), cancellationToken);
        if (!person.IsOk)
        {
            return RemoteResult<EmployeeRecord>.From(person);
        }

        var answer = await tokens.SendAsync("employments", token => Requests.Get(calls.Address($"{path}/employments"), token), cancellationToken);
        if (!answer.IsOk)
        {
            return RemoteResult<EmployeeRecord>.From(answer);
        }

        var employments = ((answer.Value as JObject)?["_data"] as JArray ?? answer.Value as JArray ?? []).Select(EmploymentOf).ToList();
        var lasting = employments.OrderBy(static e => e.State == EmploymentState.Ended).ThenByDescending(static e => e.EndsAt ?? DateTimeOffset.MaxValue).FirstOrDefault();
        return new(RemoteStatus.Ok, new EmployeeRecord
        {
            State = lasting.State,
            EndsAt = lasting.EndsAt,
            Email = person.Value.Text("email"),
            EmployeeNumber = person.Value.Text("employee_id"),
        });
    }

    private (EmploymentState State, DateTimeOffset? EndsAt) EmploymentOf(JToken employment)
    {
        var state = employment.Text("status")?.ToUpperInvariant() switch
        {
            "ACTIVE" or "ONBOARDING" => EmploymentState.Employed,
            "LEAVE" => EmploymentState.OnLeave,
            "INACTIVE" => EmploymentState.Ended,
            _ => EmploymentState.Unknown,
        };
        return (state, (employment as JObject)?["termination"] is JObject termination
            ? termination.Day("last_working_date", system.Days) ?? termination.Day("termination_date", system.Days)
            : employment.Day("employment_end_date", system.Days));
    }
}

/// <summary>
/// Gusto: <c>GET /v1/employees/{uuid}</c> with a company's access token. 200 calls a minute; 429 with <c>Retry-After</c>.
/// <c>effective_date</c> of a termination is the last day of work, in Pacific time. Source: docs.gusto.com, "Rate limits", "Get an employee".
/// </summary>
internal sealed class GustoClient(HrSystem system, HrSystemCalls calls, HrSystemTokens tokens) : IHrSystemClient
{
    public async Task<RemoteResult<EmployeeRecord>> FindAsync(string personId, CancellationToken cancellationToken)
    {
        var address = calls.Address($"/v1/employees/{Uri.EscapeDataString(personId)}");
        var answer = await tokens.SendAsync(
            "employee", token =>
            {
                var request = Requests.Get(address, token);
                if (system.Version is { } version)
                {
                    request.Headers.Add("X-Gusto-API-Version", version);
                }

                return request;
            }, cancellationToken);
        if (!answer.IsOk)
        {
            return RemoteResult<EmployeeRecord>.From(answer);
        }

        var terminations = (answer.Value as JObject)?["terminations"] as JArray ?? [];
        var last = terminations.Select(one => one.Day("effective_date", system.Days)).Max();
        var isTerminated = (answer.Value as JObject)?["terminated"] is JValue { Type: JTokenType.Boolean } value ? (bool?)value : null;
        return new(RemoteStatus.Ok, new EmployeeRecord
        {
            State = isTerminated switch { true => EmploymentState.Ended, false => EmploymentState.Employed, null => EmploymentState.Unknown },
            EndsAt = last,
            Email = answer.Value.Text("work_email") ?? answer.Value.Text("email"),
            EmployeeNumber = answer.Value.Text("employee_code"),
        });
    }
}

/// <summary>Requests and answers as the clients make and read them.</summary>
internal static class Requests
{
    public static AuthenticationHeaderValue Basic(string user, string password) =>
        new("Basic", Convert.ToBase64String(Encoding.UTF8.GetBytes($"{user}:{password}")));

    public static HttpRequestMessage Get(Uri address, AuthenticationHeaderValue authorization)
    {
        var request = new HttpRequestMessage(HttpMethod.Get, address);
        request.Headers.Authorization = authorization;
        request.Headers.Accept.Add(new("application/json"));
        return request;
    }

    public static HttpRequestMessage Post(Uri address, AuthenticationHeaderValue authorization, string json)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, address) { Content = new StringContent(json, Encoding.UTF8, "application/json") };
        request.Headers.Authorization = authorization;
        request.Headers.Accept.Add(new("application/json"));
        return request;
    }

    /// <summary>The text or number that the names lead to.</summary>
    public static string? Text(this JToken? token, params ReadOnlySpan<string> names)
    {
        foreach (var name in names)
        {
            token = (token as JObject)?[name];
        }

        return token switch
        {
            JValue { Type: JTokenType.String } text => string.IsNullOrWhiteSpace((string?)text) ? null : ((string)text!).Trim(),
            JValue { Type: JTokenType.Integer } number => Convert.ToString(number.Value, CultureInfo.InvariantCulture),
            _ => null,
        };
    }

    /// <summary>The moment that a day counts from; <see langword="null"/> for none, or the <c>0000-00-00</c> that BambooHR writes for it.</summary>
    public static DateTimeOffset? Day(this JToken? token, string name, LocalDays days) =>
        token.Text(name) is { } text && LocalDays.TryReadDay(text.Length > 10 ? text.AsSpan(0, 10) : text, out var day) ? days.MomentOf(day) : null;
}
