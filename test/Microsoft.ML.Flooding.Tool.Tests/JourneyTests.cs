using System.Runtime.InteropServices;
using System.Text.RegularExpressions;

namespace Mlflood.Tests;

/// <summary>
/// The commands of docs/command-line.md, in an empty folder, with the packages of this repository and nothing else of it. The page shows
/// what they print.
/// </summary>
[TestClass]
public sealed partial class JourneyTests
{
    private static readonly string[] Packages =
    [
        "Microsoft.ML.Flooding", "Microsoft.ML.Flooding.Orleans", "Microsoft.ML.Flooding.Tool", "Microsoft.ML.Flooding.Templates",
    ];

    private static string _root = "";

    public TestContext TestContext { get; set; } = null!;

    private static string Home => Path.Combine(_root, "home");

    private static string Feed => Path.Combine(_root, "feed");

    /// <summary>Writes the packages and the images.</summary>
    [ClassInitialize]
    public static void Prepare(TestContext context)
    {
        // Short, so that the paths of the transcript are not wrapped.
        _root = Directory.CreateTempSubdirectory("mlf-").FullName;
        var configuration = new DirectoryInfo(AppContext.BaseDirectory).Parent!.Name;
        foreach (var package in Packages)
        {
            var project = Path.Combine(ToolProcess.Repository, "src", package);
            Dotnet(_root, "pack", project, "-c", configuration, "--no-build", "-o", Feed, "-warnaserror");
        }
        Directory.CreateDirectory(Home);
        File.WriteAllText(Path.Combine(Home, "nuget.config"), $"""
            <configuration>
              <packageSources><add key="feed" value="{Feed}" /></packageSources>
            </configuration>
            """);
        Photos.Write(Path.Combine(Home, "photos"), "train", 60);
        Photos.Write(Path.Combine(Home, "new-photos"), "t10k", 10);
    }

    [ClassCleanup]
    public static void Delete() => Directory.Delete(_root, recursive: true);

    [TestMethod]
    public void The_packages_are_those_to_publish_with_all_that_belongs_in_them()
    {
        var files = Directory.GetFiles(Feed).Select(Path.GetFileName).Order(StringComparer.Ordinal).ToList();
        var version = VersionOf(files.First(file => file!.StartsWith("Microsoft.ML.Flooding.Tool.", StringComparison.Ordinal))!);
        CollectionAssert.AreEquivalent(
            Packages.Select(package => $"{package}.{version}.nupkg")
                .Concat(Packages.Take(3).Select(package => $"{package}.{version}.snupkg")).ToList(), files);
        foreach (var package in Packages)
        {
            using var archive = System.IO.Compression.ZipFile.OpenRead(Path.Combine(Feed, $"{package}.{version}.nupkg"));
            var entries = archive.Entries.Select(entry => entry.FullName).ToList();
            foreach (var entry in new[] { "PACKAGE.md", "icon.png", "LICENSE", package + ".nuspec" })
                CollectionAssert.Contains(entries, entry, package);
            using var reader = new StreamReader(archive.GetEntry(package + ".nuspec")!.Open());
            var nuspec = reader.ReadToEnd();
            foreach (var part in new[] { "<license type=\"expression\">MIT</license>", "<readme>", "<icon>", "<description>", "<tags>" })
                StringAssert.Contains(nuspec, part, package);
        }
        using var library = System.IO.Compression.ZipFile.OpenRead(Path.Combine(Feed, $"Microsoft.ML.Flooding.{version}.nupkg"));
        CollectionAssert.Contains(library.Entries.Select(entry => entry.FullName).ToList(), "lib/net10.0/Microsoft.ML.Flooding.xml");
    }

    [TestMethod]
    public async Task The_commands_of_the_first_page_print_what_it_shows()
    {
        var page = File.ReadAllText(Path.Combine(ToolProcess.Repository, "docs", "command-line.md")).ReplaceLineEndings("\n");
        var steps = ConsoleBlock().Matches(page).SelectMany(block => Step().Matches(block.Groups["text"].Value)).ToArray();
        Assert.IsGreaterThan(6, steps.Length);
        foreach (var step in steps)
        {
            var command = step.Groups["command"].Value;
            var words = command.Split(' ');
            using var process = ToolProcess.Start(ProgramOf(words[0]), Home, words[1..], Variables());
            var result = process.Finish();
            Assert.AreEqual(0, result.ExitCode, $"{command}\n{result.Output}\n{result.Error}");
            TestContext.WriteLine($"$ {command}\n{Portable(result.Output)}");
            if (words[0] == "mlflood" || words[1] == "run")
            {
                Assert.AreEqual(Shape(step.Groups["output"].Value), Shape(Portable(result.Output)), command);
                if (command.Contains("trouser/000.png", StringComparison.Ordinal))
                    StringAssert.Contains(result.Output, "000.png: trouser ");
            }
        }
        CollectionAssert.IsSubsetOf(
            new[] { "tool", "train", "evaluate", "predict", "export", "scaffold", "run" },
            steps.Select(step => step.Groups["command"].Value.Split(' ')[1]).ToList());

        TheProgramIsPublishedAsOneFile();
        await TheWebServiceAnswers();
        TheTemplateBuilds();
    }

    private static void TheProgramIsPublishedAsOneFile()
    {
        Dotnet(
            Home, "publish", "Clothes", "-c", "Release", "-r", RuntimeInformation.RuntimeIdentifier, "--self-contained", "false",
            "-p:PublishSingleFile=true", "-p:IncludeNativeLibrariesForSelfExtract=true", "-p:DebugType=none", "-o", "one");
        var program = OperatingSystem.IsWindows() ? "Clothes.exe" : "Clothes";
        var files = Directory.GetFiles(Path.Combine(Home, "one")).Select(Path.GetFileName).ToList();
        CollectionAssert.AreEquivalent(new[] { program, "Clothes.zip" }, files, string.Join(", ", files));
        using var process = ToolProcess.Start(
            Path.Combine(Home, "one", program), Home, ["new-photos/trouser/000.png"],
            [.. Variables(), ("DOTNET_BUNDLE_EXTRACT_BASE_DIR", Path.Combine(_root, "extracted"))]);
        StringAssert.StartsWith(process.Finish().Expect(0).Output, "new-photos/trouser/000.png: trouser ");
    }

    private static async Task TheWebServiceAnswers()
    {
        Mlflood("scaffold", "clothes.zip", "--web", "-o", "service", "--name", "Clothes");
        Dotnet(Home, "build", "service", "-c", "Release");
        var program = Path.Combine("service", "bin", "Release", "net10.0", "Clothes.dll");
        using var service = ToolProcess.Start(
            "dotnet", Home, [program, "--urls", "http://127.0.0.1:0", "--Logging:Console:LogToStandardErrorThreshold=Trace"], Variables());
        service.WaitFor("Now listening on: ");
        var address = new Uri(service.LineWith("Now listening on: ").Split("Now listening on: ")[1].Trim());
        using var client = new HttpClient { BaseAddress = address };
        StringAssert.Contains(await client.GetStringAsync("/"), "pullover");
        var image = File.ReadAllBytes(Path.Combine(Home, "new-photos", "trouser", "000.png"));
        StringAssert.Contains(await Post(client, image, 200), "\"probability\"");
        StringAssert.Contains(await Post(client, [1, 2, 3], 400), "not an image");

        static async Task<string> Post(HttpClient client, byte[] content, int status)
        {
            using var body = new ByteArrayContent(content);
            using var response = await client.PostAsync("/predict", body);
            var text = await response.Content.ReadAsStringAsync();
            Assert.AreEqual(status, (int)response.StatusCode, text);
            return text;
        }
    }

    private static void TheTemplateBuilds()
    {
        var package = Directory.GetFiles(Feed, "*.Templates.*.nupkg").Single();
        Dotnet(Home, "new", "install", package);
        Dotnet(Home, "new", "mlnet-flooding", "-n", "My-pets");
        var folder = Path.Combine(Home, "My-pets");
        var files = Directory.GetFiles(folder).Select(Path.GetFileName).ToList();
        CollectionAssert.AreEquivalent(
            new[] { "My_pets.consumption.cs", "My_pets.csproj", "My_pets.evaluate.cs", "My_pets.training.cs", "Program.cs" }, files);
        StringAssert.Contains(File.ReadAllText(Path.Combine(folder, "My_pets.training.cs")), "FloodLevel = 0.03f,");
        Dotnet(folder, "build", "-warnaserror");
        StringAssert.Contains(Dotnet(folder, "run", "--no-build"), "Usage:");

        Dotnet(Home, "new", "mlnet-flooding", "-n", "Web", "--web");
        CollectionAssert.Contains(Directory.GetFiles(Path.Combine(Home, "Web")).Select(Path.GetFileName).ToList(), "EnginePool.cs");
    }

    private static string Mlflood(params string[] arguments)
    {
        using var process = ToolProcess.Start(ProgramOf("mlflood"), Home, arguments, Variables());
        return process.Finish().Expect(0).Output;
    }

    private static string Dotnet(string folder, params string[] arguments)
    {
        using var process = ToolProcess.Start("dotnet", folder, arguments, Variables());
        return process.Finish().Expect(0).Output;
    }

    private static string ProgramOf(string name) => name == "mlflood"
        ? Path.Combine(Home, ".dotnet", "tools", OperatingSystem.IsWindows() ? "mlflood.exe" : "mlflood")
        : name;

    /// <summary>
    /// The home of the tools, and a package cache of its own for what this test installs. Other packages are taken from the machine's.
    /// </summary>
    private static (string, string)[] Variables()
    {
        var machine = Environment.GetEnvironmentVariable("NUGET_PACKAGES") is { Length: > 0 } given
            ? given
            : Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".nuget", "packages");
        return
        [
            ("DOTNET_CLI_HOME", Home), ("NUGET_PACKAGES", Path.Combine(_root, "packages")), ("NUGET_FALLBACK_PACKAGES", machine),
            ("MSBUILDDISABLENODEREUSE", "1"), ("DOTNET_GENERATE_ASPNET_CERTIFICATE", "false"), ("DOTNET_CLI_TELEMETRY_OPTOUT", "1"),
        ];
    }

    private static string VersionOf(string file) => file["Microsoft.ML.Flooding.Tool.".Length..^".nupkg".Length];

    private static string Portable(string output) => output.ReplaceLineEndings("\n").Replace(Home, "~", StringComparison.Ordinal);

    /// <summary>
    /// The text without what differs from machine to machine: numbers and the widths that follow from them, the predictions for single
    /// images, and whether the averaged weights were better.
    /// </summary>
    private static string Shape(string text)
    {
        var lines = text.Split('\n').Where(line => !line.Contains(".png", StringComparison.Ordinal));
        return Gap().Replace(Number().Replace(string.Join('\n', lines), "#"), " ")
            .Replace("averaged weights", "raw weights", StringComparison.Ordinal).Trim();
    }

    [GeneratedRegex("^```console\n(?<text>.*?)^```$", RegexOptions.Multiline | RegexOptions.Singleline)]
    private static partial Regex ConsoleBlock();

    [GeneratedRegex(@"^\$ (?<command>.*)\n(?<output>(?:(?!\$ ).*\n)*)", RegexOptions.Multiline)]
    private static partial Regex Step();

    [GeneratedRegex(@"\d+([.,]\d+)*|·")]
    private static partial Regex Number();

    [GeneratedRegex(@"[\s─]+")]
    private static partial Regex Gap();
}
