using Microsoft.ML.Flooding.Benchmarks;
using Microsoft.ML.Flooding.Benchmarks.Photos;

// Each table is a class of its own: a process that measures the first prediction compiles nothing else.
switch (args)
{
    case [FirstPrediction.Verb, var way, var path]:
        FirstPrediction.Run(way, path);
        return 0;
    case [BesideTable.Verb, var work]:
        BesideTable.Work(work);
        return 0;
    case [GrowthTable.Verb, .. var cell]:
        GrowthTable.Work(cell);
        return 0;
    case [TuningTable.Verb, .. var piece]:
        TuningTable.Work(piece);
        return 0;
    case [ClusterTable.Verb, var address]:
        await ClusterTable.Work(address);
        return 0;
    case ["cluster"]:
        ClusterTable.Print(Console.Out);
        return 0;
    case ["limits"]:
        LimitsTable.Print(Console.Out);
        return 0;
    case ["ranks"]:
        RanksTable.Print(Console.Out);
        return 0;
    case ["beside"]:
        BesideTable.Print(Console.Out);
        return 0;
    case ["growth", .. var options]:
        GrowthTable.Print(Console.Out, options);
        return 0;
    case ["tuning", .. var pieces]:
        TuningTable.Print(Console.Out, pieces);
        return 0;
    case ["serving", .. var networks]:
        ServingTable.Print(Console.Out, networks);
        return 0;
    case ["architectures"]:
        ArchitectureTable.Print(Console.Out);
        return 0;
    case ["photos", .. var photos]:
        return PhotosCommand.Run(photos);
    default:
        return RegressionTable.Print(args);
}
