using System.Text.Json;
using System.Text.RegularExpressions;
using DingFlow.Tests.Infrastructure;

namespace DingFlow.Tests.Hosting;

public sealed partial class OpenApiTests
{
    private static readonly string[] Methods = ["get", "put", "post", "delete", "patch", "head"];

    [Fact]
    public void Every_http_function_is_in_the_document_and_nothing_else_is()
    {
        using var document = Document();
        var documented = document.RootElement.GetProperty("paths").EnumerateObject()
            .SelectMany(path => path.Value.EnumerateObject().Where(member => Methods.Contains(member.Name)).Select(member => $"{member.Name} {path.Name}"));

        Assert.Equal(Declared().Order(StringComparer.Ordinal), documented.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Every_operation_has_an_id_of_its_own_and_documents_its_parameters()
    {
        using var document = Document();
        var ids = new HashSet<string>();
        foreach (var path in document.RootElement.GetProperty("paths").EnumerateObject())
        {
            foreach (var operation in path.Value.EnumerateObject().Where(member => Methods.Contains(member.Name)))
            {
                Assert.True(ids.Add(operation.Value.GetProperty("operationId").GetString()!), path.Name);
                var parameters = Parameters(operation.Value).Concat(Parameters(path.Value)).Select(parameter => Resolve(document.RootElement, parameter))
                    .Where(parameter => parameter.GetProperty("in").GetString() == "path").Select(parameter => parameter.GetProperty("name").GetString());
                Assert.Equal(Placeholder().Matches(path.Name).Select(match => match.Groups[1].Value).Order(), parameters.Order());
            }
        }
    }

    [Fact]
    public void Every_reference_leads_somewhere()
    {
        using var document = Document();
        var root = document.RootElement;

        Assert.All(References(root), reference => Assert.True(TryResolve(root, reference, out _), reference));
    }

    private static JsonDocument Document() => JsonDocument.Parse(
        File.ReadAllBytes(Path.Combine(Repository.Root, "functions", "openapi.json")));

    /// <summary>Method and path of every HTTP function; an optional last segment makes two paths of one route.</summary>
    private static IEnumerable<string> Declared()
    {
        foreach (var file in Directory.EnumerateFiles(Path.Combine(Repository.Root, "functions", "Triggers"), "function.json", SearchOption.AllDirectories))
        {
            using var json = JsonDocument.Parse(File.ReadAllBytes(file));
            foreach (var binding in json.RootElement.GetProperty("bindings").EnumerateArray().Where(b => b.GetProperty("type").GetString() == "httpTrigger"))
            {
                var route = binding.GetProperty("route").GetString()!;
                foreach (var method in binding.GetProperty("methods").EnumerateArray().Select(method => method.GetString()))
                {
                    yield return $"{method} /{OptionalMark().Replace(route, "}")}";
                    if (OptionalSegment().IsMatch(route))
                    {
                        yield return $"{method} /{OptionalSegment().Replace(route, "")}";
                    }
                }
            }
        }
    }

    private static JsonElement.ArrayEnumerator Parameters(JsonElement element) =>
        element.TryGetProperty("parameters", out var parameters) ? parameters.EnumerateArray() : default;

    private static JsonElement Resolve(JsonElement root, JsonElement element) =>
        element.TryGetProperty("$ref", out var reference) && TryResolve(root, reference.GetString()!, out var target) ? target : element;

    private static bool TryResolve(JsonElement root, string reference, out JsonElement target)
    {
        target = root;
        foreach (var segment in reference.TrimStart('#', '/').Split('/'))
        {
            if (!target.TryGetProperty(segment, out target))
            {
                return false;
            }
        }

        return true;
    }

    private static IEnumerable<string> References(JsonElement element) => element.ValueKind switch
    {
        JsonValueKind.Object => element.EnumerateObject().SelectMany(member =>
            member.NameEquals("$ref") ? [member.Value.GetString()!] : References(member.Value)),
        JsonValueKind.Array => element.EnumerateArray().SelectMany(References),
        _ => [],
    };

    [GeneratedRegex(@"\{(\w+)\}")]
    private static partial Regex Placeholder();

    [GeneratedRegex(@"\?\}")]
    private static partial Regex OptionalMark();

    [GeneratedRegex(@"/\{\w+\?\}$")]
    private static partial Regex OptionalSegment();
}
