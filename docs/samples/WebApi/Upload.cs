using SkiaSharp;

namespace WebApi;

/// <summary>What is taken from strangers, and what they are told when it is not: every refusal is a JSON problem (RFC 9457).</summary>
internal static class Upload
{
    public const long MostBytes = 10 << 20;
    public const long MostPixels = 25_000_000;

    // What a form puts around its file.
    public const long FormBytes = 16 << 10;

    /// <summary>Looks at the header alone, since a small file may hold a picture that fills the memory.</summary>
    public static IResult? Refuse(byte[] file)
    {
        if (file.Length == 0)
            return Problem(StatusCodes.Status400BadRequest, "The file is empty.");
        if (file.Length > MostBytes)
            return Problem(StatusCodes.Status413PayloadTooLarge, TooLarge);
        using var data = SKData.CreateCopy(file);
        using var codec = SKCodec.Create(data);
        if (codec is null)
            return Problem(StatusCodes.Status415UnsupportedMediaType, "This is no image that can be read. A JPEG, PNG, WebP, GIF or BMP file is expected.");
        var size = codec.Info.Size;
        return (long)size.Width * size.Height > MostPixels
            ? Problem(StatusCodes.Status413PayloadTooLarge, $"The image has {size.Width} x {size.Height} pixels; {MostPixels / 1_000_000} megapixels are allowed.")
            : null;
    }

    public static IResult Broken() => Problem(StatusCodes.Status422UnprocessableEntity, "The image is damaged: its header can be read, its pixels cannot.");

    /// <summary>Says what to do about the answers that the server gives before an upload is looked at.</summary>
    public static void Explain(ProblemDetailsContext context) => context.ProblemDetails.Detail ??= context.ProblemDetails.Status switch
    {
        StatusCodes.Status400BadRequest or StatusCodes.Status415UnsupportedMediaType => "A multipart form with one file, in the field 'file', is expected.",
        StatusCodes.Status404NotFound or StatusCodes.Status405MethodNotAllowed => "There are GET /, GET /health and POST /predict.",
        StatusCodes.Status413PayloadTooLarge => TooLarge,
        _ => null,
    };

    private static string TooLarge => $"The file is larger than {MostBytes >> 20} MB.";

    private static IResult Problem(int status, string detail) => Results.Problem(detail, statusCode: status);
}
