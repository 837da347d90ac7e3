// As "dotnet new web" makes it. With EMPTY_BUILDER=empty nothing is added but Kestrel: no configuration, no console log, no routing.
if (Environment.GetEnvironmentVariable("EMPTY_BUILDER") == "empty")
{
    var builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions { Args = args });
    builder.WebHost.UseKestrelCore().UseUrls(Environment.GetEnvironmentVariable("ASPNETCORE_URLS")!);
    await using var bare = builder.Build();
    bare.Run(static context => context.Response.WriteAsync("Hello World!"));
    await bare.RunAsync();
}
else
{
    await using var app = WebApplication.CreateBuilder(args).Build();
    app.MapGet("/", static () => "Hello World!");
    await app.RunAsync();
}
