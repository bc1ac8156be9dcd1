using SkiaSharp;

namespace WebApi;

/// <summary>The limits on uploads and the answers to uploads that exceed them. Each refusal is a JSON problem (RFC 9457).</summary>
internal static class Upload
{
    public const long MostBytes = 10 << 20;
    public const long MostPixels = 25_000_000;

    // The most bytes that a form adds to its file.
    public const long FormBytes = 16 << 10;

    /// <summary>Checks only the header: decoding a small file can fill the memory. Returns null for an acceptable file.</summary>
    public static IResult? Refuse(byte[] file)
    {
        if (file.Length == 0)
            return Problem(StatusCodes.Status400BadRequest, "The file is empty. Send an image.");
        if (file.Length > MostBytes)
            return Problem(StatusCodes.Status413PayloadTooLarge, TooLarge);
        using var data = SKData.CreateCopy(file);
        using var codec = SKCodec.Create(data);
        if (codec is null)
            return Problem(StatusCodes.Status415UnsupportedMediaType, "The file is not an image. Send a JPEG, PNG, WebP, GIF or BMP file.");
        var size = codec.Info.Size;
        return (long)size.Width * size.Height > MostPixels
            ? Problem(
                StatusCodes.Status413PayloadTooLarge,
                $"The image has {size.Width} x {size.Height} pixels. Send at most {MostPixels / 1_000_000} megapixels.")
            : null;
    }

    public static IResult Broken() => Problem(
        StatusCodes.Status422UnprocessableEntity, "The image is damaged: the header is readable, the pixels are not. Send an intact file.");

    /// <summary>Adds a remedy to the errors that the server returns before it checks an upload.</summary>
    public static void Explain(ProblemDetailsContext context) => context.ProblemDetails.Detail ??= context.ProblemDetails.Status switch
    {
        StatusCodes.Status400BadRequest or StatusCodes.Status415UnsupportedMediaType =>
            "Send a multipart form with one file in the field 'file'.",
        StatusCodes.Status404NotFound or StatusCodes.Status405MethodNotAllowed => "Use GET /, GET /health or POST /predict.",
        StatusCodes.Status413PayloadTooLarge => TooLarge,
        _ => null,
    };

    private static string TooLarge => $"The file is larger than {MostBytes >> 20} MB. Send a smaller one.";

    private static IResult Problem(int status, string detail) => Results.Problem(detail, statusCode: status);
}
