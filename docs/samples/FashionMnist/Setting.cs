namespace FashionMnist;

/// <summary>The data for a comparison of the methods and its flood level, chosen in advance and the same for every seed.</summary>
internal sealed record Setting(string Name, Images Images, float FloodLevel);
