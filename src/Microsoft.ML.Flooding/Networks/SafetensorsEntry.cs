using System.Collections.Immutable;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Networks;

/// <summary>One tensor of a safetensors file: its values take <see cref="Length"/> bytes from <see cref="Offset"/> on, counted from the end of the header.</summary>
internal sealed record SafetensorsEntry(string Name, ScalarType Type, ImmutableArray<long> Shape, long Offset, long Length);
