namespace FashionMnist;

/// <summary>The data that the methods are compared on, and the level that floods it: fixed beforehand, the same for every seed.</summary>
internal sealed record Setting(string Name, Images Images, float FloodLevel);
