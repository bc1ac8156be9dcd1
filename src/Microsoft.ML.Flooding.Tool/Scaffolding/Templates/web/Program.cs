using ImageClassifier;

if (args is ["train", var folder])
{
    ImageClassifierModel.Train(folder, "ImageClassifier.zip");
    return;
}

var builder = WebApplication.CreateBuilder(args);
builder.Services.AddSingleton<EnginePool>();
var app = builder.Build();

// The model is loaded before the server takes requests.
var pool = app.Services.GetRequiredService<EnginePool>();

app.MapGet("/", () => new { pool.Labels });

// curl --data-binary @photo.jpg http://localhost:5000/predict
app.MapPost("/predict", async (HttpRequest request, CancellationToken cancellation) =>
{
    using var content = new MemoryStream();
    await request.Body.CopyToAsync(content, cancellation);
    var scores = pool.Predict(new() { Image = content.ToArray() });
    return scores is null
        ? Results.Problem("The body of the request is not an image that can be read.", statusCode: StatusCodes.Status400BadRequest)
        : Results.Ok(scores.Select(score => new { Label = score.Key, Probability = score.Value }));
});

app.Run();
