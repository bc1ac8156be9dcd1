using Common;
using Noise;

var set = NoisySet.Idx(new IdxFolder(args[0]), 3000);
Dev.Run(set, [.. args[1].Split(',').Select(int.Parse)], [.. args[2].Split(',').Select(int.Parse)], args[3].Split(','));
