using System.Globalization;

namespace Microsoft.ML.Flooding.Runtime;

/// <summary>A file to download: where it is, and how to recognize it.</summary>
/// <param name="Address">The http or https address. Its last part is the name of the file.</param>
/// <param name="Bytes">The length of the file.</param>
/// <param name="Sha256">The SHA-256 of the file as hexadecimal digits, or at least its first eight digits.</param>
internal sealed record RemoteFile(Uri Address, long Bytes, string Sha256)
{
    private const int FewestDigits = 8;

    public string FileName => Path.GetFileName(Uri.UnescapeDataString(Address.AbsolutePath));

    /// <exception cref="ArgumentException">The address, the length or the digest is invalid.</exception>
    public void Validate()
    {
        if (!Address.IsAbsoluteUri || (Address.Scheme != Uri.UriSchemeHttps && Address.Scheme != Uri.UriSchemeHttp) || FileName.Length == 0)
            throw new ArgumentException($"{nameof(Address)} must be the http or https address of a file; it is '{Address}'.");
        if (Bytes < 1)
            throw new ArgumentException(string.Create(CultureInfo.InvariantCulture, $"{nameof(Bytes)} must be at least 1; it is {Bytes}."));
        if (Sha256.Length is < FewestDigits or > 64 || !Sha256.All(char.IsAsciiHexDigit))
            throw new ArgumentException($"{nameof(Sha256)} must be {FewestDigits} to 64 hexadecimal digits; it is '{Sha256}'.");
    }
}
