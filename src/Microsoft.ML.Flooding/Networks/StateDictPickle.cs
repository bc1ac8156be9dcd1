using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Globalization;
using System.Text;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Networks;

/// <summary>
/// Reads the pickle of a state_dict: the instructions that torch.save writes (protocol 2), and of all that a pickle may call, the few functions
/// that make a tensor. It builds dictionaries, lists and descriptions of tensors, and runs no code.
/// </summary>
/// <remarks>
/// The instructions are those of Python's pickle module; which of them a state_dict takes is what torch.load(weights_only=True) accepts.
/// A general reader, Razorvine.Pickle, resolves every name by a table of the process that any library may change, and gives an object for a
/// name that it does not know.
/// </remarks>
internal sealed class StateDictPickle
{
    /// <summary>What to do about a file with more in it than tensors.</summary>
    public const string Remedy = "In Python, save the weights alone: torch.save(model.state_dict(), \"weights.pth\").";

    private const int MostTensors = 100_000;
    private const int MostContainers = 1_000_000;
    private const int LongestName = 1024;
    private const int DeepestNesting = 16;
    private const int MostAxes = 64;

    private static readonly object Mark = new();

    private static readonly Dictionary<string, object> Globals = new()
    {
        ["collections.OrderedDict"] = Function.OrderedDictionary,
        ["torch._utils._rebuild_tensor"] = Function.Tensor,
        ["torch._utils._rebuild_tensor_v2"] = Function.Tensor,
        ["torch._utils._rebuild_tensor_v3"] = Function.TypedTensor,
        ["torch._utils._rebuild_parameter"] = Function.Parameter,
        ["torch._utils._rebuild_parameter_with_state"] = Function.Parameter,
        ["torch.DoubleStorage"] = new ElementType(ScalarType.Float64, 8),
        ["torch.FloatStorage"] = new ElementType(ScalarType.Float32, 4),
        ["torch.HalfStorage"] = new ElementType(ScalarType.Float16, 2),
        ["torch.BFloat16Storage"] = new ElementType(ScalarType.BFloat16, 2),
        ["torch.LongStorage"] = new ElementType(ScalarType.Int64, 8),
        ["torch.IntStorage"] = new ElementType(ScalarType.Int32, 4),
        ["torch.ShortStorage"] = new ElementType(ScalarType.Int16, 2),
        ["torch.CharStorage"] = new ElementType(ScalarType.Int8, 1),
        ["torch.ByteStorage"] = new ElementType(ScalarType.Byte, 1),
        ["torch.BoolStorage"] = new ElementType(ScalarType.Bool, 1),
        // Bytes, to which each tensor gives a type of its own.
        ["torch.storage.UntypedStorage"] = new ElementType(ScalarType.Byte, 1),
        ["torch.float64"] = new ElementType(ScalarType.Float64, 8),
        ["torch.float32"] = new ElementType(ScalarType.Float32, 4),
        ["torch.float16"] = new ElementType(ScalarType.Float16, 2),
        ["torch.bfloat16"] = new ElementType(ScalarType.BFloat16, 2),
        ["torch.int64"] = new ElementType(ScalarType.Int64, 8),
        ["torch.int32"] = new ElementType(ScalarType.Int32, 4),
        ["torch.int16"] = new ElementType(ScalarType.Int16, 2),
        ["torch.int8"] = new ElementType(ScalarType.Int8, 1),
        ["torch.uint8"] = new ElementType(ScalarType.Byte, 1),
        ["torch.bool"] = new ElementType(ScalarType.Bool, 1),
    };

    private readonly byte[] _pickle;
    private readonly List<object?> _stack = [];
    private readonly Dictionary<int, object?> _memo = [];
    private int _position;
    private int _containers;

    private StateDictPickle(byte[] pickle) => _pickle = pickle;

    private enum Function
    {
        OrderedDictionary,
        Tensor,
        TypedTensor,
        Parameter,
    }

    /// <summary>The tensors of the pickled dictionary by name, in its order; those of a dictionary within it have its key and a dot before their own.</summary>
    /// <exception cref="InvalidDataException">The pickle is damaged, or calls for more than tensors; the message says for what.</exception>
    public static IReadOnlyList<(string Name, PickledTensor Tensor)> Read(byte[] pickle)
    {
        object? root;
        try
        {
            root = new StateDictPickle(pickle).Run();
        }
        catch (Exception e) when (e is ArgumentOutOfRangeException or OverflowException or KeyNotFoundException)
        {
            throw Damaged(e);
        }
        if (root is not PickledDictionary dictionary)
            throw new InvalidDataException("It holds no dictionary of tensors. " + Remedy);
        var tensors = new OrderedDictionary<string, PickledTensor>();
        // A dictionary counts where it is met first: in a circle, or shared, it would be met for ever.
        Flatten(dictionary, "", 0, tensors, new HashSet<object>(ReferenceEqualityComparer.Instance));
        return tensors.Count > 0
            ? [.. tensors.Select(entry => (entry.Key, entry.Value))]
            : throw new InvalidDataException("Its dictionary holds no tensors. " + Remedy);
    }

    private static void Flatten(PickledDictionary dictionary, string prefix, int depth, OrderedDictionary<string, PickledTensor> tensors, HashSet<object> met)
    {
        if (depth == DeepestNesting || !met.Add(dictionary))
            return;
        foreach (var (key, value) in dictionary)
        {
            if (value is not (PickledTensor or PickledDictionary))
                continue;
            if (prefix.Length + key.Length >= LongestName)
                throw new InvalidDataException($"The name of a tensor has more than {LongestName:N0} characters.");
            if (value is PickledDictionary inner)
                Flatten(inner, $"{prefix}{key}.", depth + 1, tensors, met);
            else if (tensors.TryAdd(prefix + key, (PickledTensor)value) && tensors.Count > MostTensors)
                throw new InvalidDataException($"It holds more than {MostTensors:N0} tensors.");
        }
    }

    private object? Run()
    {
        while (true)
        {
            var instruction = (char)ReadByte();
            switch (instruction)
            {
                case '\x80':
                    ReadByte();
                    break;
                case '.':
                    return Pop();
                case '(':
                    _stack.Add(Mark);
                    break;
                case 'N':
                    _stack.Add(null);
                    break;
                case '\x88':
                    _stack.Add(true);
                    break;
                case '\x89':
                    _stack.Add(false);
                    break;
                case 'J':
                    _stack.Add((long)BinaryPrimitives.ReadInt32LittleEndian(Read(4)));
                    break;
                case 'K':
                    _stack.Add((long)ReadByte());
                    break;
                case 'M':
                    _stack.Add((long)BinaryPrimitives.ReadUInt16LittleEndian(Read(2)));
                    break;
                case '\x8A':
                    _stack.Add(ReadLong(ReadByte()));
                    break;
                case 'G':
                    _stack.Add(BinaryPrimitives.ReadDoubleBigEndian(Read(8)));
                    break;
                case 'X':
                    _stack.Add(Encoding.UTF8.GetString(Read(BinaryPrimitives.ReadInt32LittleEndian(Read(4)))));
                    break;
                case 'U':
                    _stack.Add(Encoding.Latin1.GetString(Read(ReadByte())));
                    break;
                case ']':
                    _stack.Add(Counted(new List<object?>()));
                    break;
                case '}':
                    _stack.Add(Counted(new PickledDictionary()));
                    break;
                case ')':
                    _stack.Add(Array.Empty<object?>());
                    break;
                case 't':
                    _stack.Add(Counted(PopToMark()));
                    break;
                case '\x85' or '\x86' or '\x87':
                    _stack.Add(Counted(Pop(instruction - '\x84')));
                    break;
                case 'a':
                    var item = Pop();
                    As<List<object?>>(Top).Add(item);
                    break;
                case 'e':
                    var items = PopToMark();
                    As<List<object?>>(Top).AddRange(items);
                    break;
                case 's':
                    SetItems(Pop(2));
                    break;
                case 'u':
                    SetItems(PopToMark());
                    break;
                case 'q':
                    _memo[ReadByte()] = Top;
                    break;
                case 'r':
                    _memo[BinaryPrimitives.ReadInt32LittleEndian(Read(4))] = Top;
                    break;
                case 'h':
                    _stack.Add(_memo[ReadByte()]);
                    break;
                case 'j':
                    _stack.Add(_memo[BinaryPrimitives.ReadInt32LittleEndian(Read(4))]);
                    break;
                case 'c':
                    _stack.Add(FindGlobal(ReadLine(), ReadLine()));
                    break;
                case 'Q':
                    _stack.Add(ToStorage(As<object?[]>(Pop())));
                    break;
                case 'R':
                    var arguments = As<object?[]>(Pop());
                    _stack.Add(Call(As<Function>(Pop()), arguments));
                    break;
                // The attributes of an OrderedDict: the versions of the modules.
                case 'b':
                    Pop();
                    As<PickledDictionary>(Top);
                    break;
                default:
                    throw new InvalidDataException(string.Create(CultureInfo.InvariantCulture,
                        $"Its pickle has the instruction 0x{(int)instruction:X2}, which no file of tensors needs. {Remedy}"));
            }
        }
    }

    private object? Top => _stack[^1];

    private static object FindGlobal(string module, string name) => Globals.TryGetValue($"{module}.{name}", out var known)
        ? known
        : throw new InvalidDataException($"Its pickle calls for '{module}.{name}'. Only tensors are read, and nothing in a file is executed. {Remedy}");

    private object Call(Function function, object?[] arguments) => (function, arguments) switch
    {
        (Function.OrderedDictionary, []) => Counted(new PickledDictionary()),
        // Of pairs: so writes Python 2, and TorchSharp.PyBridge.
        (Function.OrderedDictionary, [IEnumerable<object?> pairs]) => OfPairs(pairs),
        // Storage, offset, sizes and strides; then whether a gradient is required, hooks and what bits are set.
        (Function.Tensor, [PickledStorage storage, long offset, object?[] shape, object?[] strides, ..]) when !HasBits(arguments, 6) =>
            PickledTensor.Of(storage, storage.Type, offset, ToIntegers(shape), ToIntegers(strides)),
        (Function.TypedTensor, [PickledStorage storage, long offset, object?[] shape, object?[] strides, _, _, ElementType type, ..]) when !HasBits(arguments, 7) =>
            PickledTensor.Of(storage, type, offset, ToIntegers(shape), ToIntegers(strides)),
        (Function.Parameter, [PickledTensor tensor, ..]) => tensor,
        _ => throw new InvalidDataException($"Its pickle calls for a {function} with arguments of another kind. {Remedy}"),
    };

    // A conjugate or negated view of its values.
    private static bool HasBits(object?[] arguments, int place) => arguments.Length > place && arguments[place] is PickledDictionary { Count: > 0 };

    private static PickledStorage ToStorage(object?[] id) => id is ["storage", ElementType type, string key, string, long count] && count >= 0
        ? new PickledStorage(key, type, checked(count * type.Size))
        : throw new InvalidDataException("Its pickle names a storage as torch.save does not. " + Remedy);

    private static ImmutableArray<long> ToIntegers(object?[] values) => values.Length <= MostAxes
        ? [.. values.Select(As<long>)]
        : throw new InvalidDataException($"A tensor has {values.Length} axes, more than {MostAxes}.");

    private PickledDictionary OfPairs(IEnumerable<object?> pairs)
    {
        var dictionary = Counted(new PickledDictionary());
        foreach (var pair in pairs)
        {
            if (pair is not IList<object?> { Count: 2 } items)
                throw Damaged(null);
            Set(dictionary, items[0], items[1]);
        }
        return dictionary;
    }

    private void SetItems(object?[] pairs)
    {
        var dictionary = As<PickledDictionary>(Top);
        for (var i = 0; i + 1 < pairs.Length; i += 2)
            Set(dictionary, pairs[i], pairs[i + 1]);
    }

    private static void Set(PickledDictionary dictionary, object? key, object? value)
    {
        // Other keys than text and numbers lead to no weights.
        if ((key as string ?? (key as long?)?.ToString(CultureInfo.InvariantCulture)) is { } name)
            dictionary[name] = value;
    }

    private static T As<T>(object? value) => value is T expected ? expected : throw Damaged(null);

    private static InvalidDataException Damaged(Exception? e) => new("Its pickle is damaged. Copy or download the file again.", e);

    private T Counted<T>(T container) => ++_containers <= MostContainers
        ? container
        : throw new InvalidDataException($"Its pickle holds more than {MostContainers:N0} lists and dictionaries. {Remedy}");

    private object? Pop() => Pop(1)[0];

    private object?[] Pop(int count)
    {
        var start = _stack.Count - count;
        var top = _stack.GetRange(start, count).ToArray();
        _stack.RemoveRange(start, count);
        return top.Contains(Mark) ? throw Damaged(null) : top;
    }

    private object?[] PopToMark()
    {
        var mark = _stack.LastIndexOf(Mark);
        var top = _stack.GetRange(mark + 1, _stack.Count - mark - 1).ToArray();
        _stack.RemoveRange(mark, _stack.Count - mark);
        return top;
    }

    private byte ReadByte() => Read(1)[0];

    private ReadOnlySpan<byte> Read(int count)
    {
        var bytes = _pickle.AsSpan(_position, count);
        _position += count;
        return bytes;
    }

    private string ReadLine()
    {
        var line = Read(Math.Min(_pickle.AsSpan(_position).IndexOf((byte)'\n'), LongestName));
        _position++;
        return Encoding.UTF8.GetString(line);
    }

    /// <summary>A number of any length; one that a long cannot hold is no size of a tensor.</summary>
    private long? ReadLong(int length)
    {
        var bytes = Read(length);
        if (length > sizeof(long))
            return null;
        Span<byte> extended = stackalloc byte[sizeof(long)];
        extended.Fill(length > 0 && bytes[^1] >= 0x80 ? (byte)0xFF : (byte)0);
        bytes.CopyTo(extended);
        return BinaryPrimitives.ReadInt64LittleEndian(extended);
    }

    private sealed class PickledDictionary : OrderedDictionary<string, object?>;
}

/// <summary>The type of a tensor's values, and the bytes of each.</summary>
internal sealed record ElementType(ScalarType Scalar, int Size);

/// <summary>Memory that tensors lie in: an entry of the file.</summary>
internal sealed record PickledStorage(string Key, ElementType Type, long Bytes);

/// <summary>A tensor as its pickle describes it: a view of a storage. Checked: it lies within.</summary>
internal sealed record PickledTensor
{
    private PickledTensor(PickledStorage storage, ElementType type, long offset, ImmutableArray<long> shape, ImmutableArray<long> strides, long extent, long bytes) =>
        (Storage, Type, ElementSize, Offset, Shape, Strides, Extent, Bytes) = (storage, type.Scalar, type.Size, offset, shape, strides, extent, bytes);

    public PickledStorage Storage { get; }

    public ScalarType Type { get; }

    public int ElementSize { get; }

    /// <summary>The first value, counted in values from the start of the storage.</summary>
    public long Offset { get; }

    public ImmutableArray<long> Shape { get; }

    public ImmutableArray<long> Strides { get; }

    /// <summary>From the first value to behind the last one, in values; 0 if there is none.</summary>
    public long Extent { get; }

    /// <summary>What the values take when they lie one behind the other.</summary>
    public long Bytes { get; }

    /// <exception cref="InvalidDataException">The tensor does not lie within the storage.</exception>
    /// <exception cref="OverflowException">Nor within anything else.</exception>
    public static PickledTensor Of(PickledStorage storage, ElementType type, long offset, ImmutableArray<long> shape, ImmutableArray<long> strides)
    {
        if (shape.Length != strides.Length || offset < 0 || shape.Any(size => size < 0) || strides.Any(stride => stride < 0))
            throw new InvalidDataException($"A tensor has the shape [{string.Join(", ", shape)}] and the strides [{string.Join(", ", strides)}] at {offset}.");
        checked
        {
            // An axis of none makes the tensor empty, but must not hide sizes that overflow.
            var bytes = shape.Aggregate((long)type.Size, (product, size) => product * Math.Max(size, 1));
            if (shape.Contains(0))
                return new(storage, type, offset, shape, strides, 0, 0);
            var extent = 1 + shape.Zip(strides, (size, stride) => (size - 1) * stride).Sum();
            if ((offset + extent) * type.Size > storage.Bytes)
                throw new InvalidDataException($"A tensor of the shape [{string.Join(", ", shape)}] ends outside of its storage '{storage.Key}'.");
            return new(storage, type, offset, shape, strides, extent, bytes);
        }
    }
}
