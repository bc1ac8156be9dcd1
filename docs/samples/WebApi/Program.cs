using Microsoft.AspNetCore.Http.Features;
using WebApi;

const long MostBytes = 10 << 20;

var builder = WebApplication.CreateBuilder(args);
builder.WebHost.ConfigureKestrel(kestrel => kestrel.Limits.MaxRequestBodySize = MostBytes);
builder.Services.Configure<FormOptions>(form => form.MultipartBodyLengthLimit = MostBytes);
builder.Services.AddSingleton(_ => Classifier.Open(builder.Configuration["model"] ?? FashionModel.TrainOnce()));

var app = builder.Build();
app.UseDefaultFiles();
app.UseStaticFiles();

// The model is there before the first request is.
var classifier = app.Services.GetRequiredService<Classifier>();

app.MapGet("/health", () => Results.Ok(new { status = "healthy", architecture = classifier.Architecture, classes = classifier.Labels.Count }));
app.MapPost("/predict", async (IFormFile file, CancellationToken cancellation) =>
{
    using var content = new MemoryStream();
    await file.CopyToAsync(content, cancellation);
    return await classifier.PredictAsync(content.ToArray(), cancellation) is { } predictions
        ? Results.Ok(predictions)
        : Results.Problem("This is no image that can be read: a JPEG, PNG, WebP, GIF or BMP file of at most 25 megapixels is expected.", statusCode: StatusCodes.Status415UnsupportedMediaType);
}).DisableAntiforgery();

app.Run();
