using Microsoft.AspNetCore.Http.Features;
using WebApi;

// The page is next to the program, whatever the working directory is.
var builder = WebApplication.CreateBuilder(new WebApplicationOptions { Args = args, ContentRootPath = AppContext.BaseDirectory });
builder.Logging.AddFilter("Microsoft.AspNetCore", LogLevel.Warning);
builder.WebHost.ConfigureKestrel(kestrel => kestrel.Limits.MaxRequestBodySize = Upload.MostBytes + Upload.FormBytes);
builder.Services.Configure<FormOptions>(form => form.MultipartBodyLengthLimit = Upload.MostBytes + Upload.FormBytes);
builder.Services.Configure<RouteHandlerOptions>(routes => routes.ThrowOnBadRequest = false);
builder.Services.AddProblemDetails(problems => problems.CustomizeProblemDetails = Upload.Explain);
builder.Services.AddSingleton(_ => new Classifier(
    builder.Configuration["model"] ?? FashionModel.TrainOnce(), builder.Configuration["column"] ?? "Features"));

var app = builder.Build();
app.UseExceptionHandler();
app.UseStatusCodePages();
app.UseDefaultFiles();
app.UseStaticFiles();

// The model is loaded before the server takes requests.
var classifier = app.Services.GetRequiredService<Classifier>();

app.MapGet("/health", () => new { Status = "healthy", classifier.Architecture, classifier.Labels, Upload.MostBytes, Upload.MostPixels });
app.MapPost("/predict", async (IFormFile? file, CancellationToken cancellation) =>
{
    if (file is null)
        return Results.Problem(statusCode: StatusCodes.Status400BadRequest);

    // A file is read only when an engine is free, so memory never holds more files than there are engines.
    using var engine = await classifier.BorrowAsync(cancellation);
    var content = new byte[file.Length];
    await using (var stream = file.OpenReadStream())
        await stream.ReadExactlyAsync(content, cancellation);
    return Upload.Refuse(content) ?? (engine.Predict(content) is { } predictions ? Results.Ok(predictions) : Upload.Broken());
}).DisableAntiforgery();

app.Run();
