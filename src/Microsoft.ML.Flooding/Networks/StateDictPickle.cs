using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Globalization;
using System.Text;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Networks;

/// <summary>
/// Reads the pickle of a state_dict. It accepts only the instructions that torch.save writes (protocol 2) and the few functions that create
/// a tensor. It builds dictionaries, lists and descriptions of tensors, and runs no code.
/// </summary>
/// <remarks>
/// The instructions are those of Python's pickle module, limited to the ones that torch.load(weights_only=True) accepts. The general reader
/// Razorvine.Pickle is not used: it resolves names with a process-wide table that any library can change, and creates an object for a name
/// that it does not know.
/// </remarks>
internal sealed class StateDictPickle
{
    /// <summary>What to do if a file contains more than tensors.</summary>
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
        // Bytes; each tensor gives its own type.
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

    /// <summary>The tensors of the pickled dictionary by name, in its order.</summary>
    /// <remarks>The name of a tensor in a nested dictionary starts with the key of that dictionary and a dot.</remarks>
    /// <exception cref="InvalidDataException">The pickle is damaged or contains more than tensors; the message says what.</exception>
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
            throw new InvalidDataException("It does not contain a dictionary of tensors. " + Remedy);
        var tensors = new OrderedDictionary<string, PickledTensor>();
        // Each dictionary is read once. Otherwise a circular reference would never end.
        Flatten(dictionary, "", 0, tensors, new HashSet<object>(ReferenceEqualityComparer.Instance));
        return tensors.Count > 0
            ? [.. tensors.Select(entry => (entry.Key, entry.Value))]
            : throw new InvalidDataException("Its dictionary contains no tensors. " + Remedy);
    }

    private static void Flatten(
        PickledDictionary dictionary, string prefix, int depth, OrderedDictionary<string, PickledTensor> tensors, HashSet<object> met)
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
                throw new InvalidDataException($"It contains more than {MostTensors:N0} tensors.");
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
                // The attributes of an OrderedDict, which are the versions of the modules.
                case 'b':
                    Pop();
                    As<PickledDictionary>(Top);
                    break;
                default:
                    throw new InvalidDataException(string.Create(CultureInfo.InvariantCulture,
                        $"Its pickle has the instruction 0x{(int)instruction:X2}, which a file of tensors does not need. {Remedy}"));
            }
        }
    }

    private object? Top => _stack[^1];

    private static object FindGlobal(string module, string name) => Globals.TryGetValue($"{module}.{name}", out var known)
        ? known
        : throw new InvalidDataException(
            $"Its pickle refers to '{module}.{name}'. Only tensors are read, and nothing in a file is executed. {Remedy}");

    private object Call(Function function, object?[] arguments) => (function, arguments) switch
    {
        (Function.OrderedDictionary, []) => Counted(new PickledDictionary()),
        // Python 2 and TorchSharp.PyBridge write the dictionary as pairs.
        (Function.OrderedDictionary, [IEnumerable<object?> pairs]) => OfPairs(pairs),
        // Storage, offset, sizes, strides, requires_grad, hooks, and the bits that are set.
        (Function.Tensor, [PickledStorage storage, long offset, object?[] shape, object?[] strides, ..])
            when !HasBits(arguments, 6) =>
            PickledTensor.Of(storage, storage.Type, offset, ToIntegers(shape), ToIntegers(strides)),
        (Function.TypedTensor, [PickledStorage storage, long offset, object?[] shape, object?[] strides, _, _, ElementType type, ..])
            when !HasBits(arguments, 7) =>
            PickledTensor.Of(storage, type, offset, ToIntegers(shape), ToIntegers(strides)),
        (Function.Parameter, [PickledTensor tensor, ..]) => tensor,
        _ => throw new InvalidDataException($"Its pickle calls {function} with unexpected arguments. {Remedy}"),
    };

    // Whether the tensor is a conjugate or negated view of its values.
    private static bool HasBits(object?[] arguments, int place) =>
        arguments.Length > place && arguments[place] is PickledDictionary { Count: > 0 };

    private static PickledStorage ToStorage(object?[] id) =>
        id is ["storage", ElementType type, string key, string, long count] && count >= 0
        ? new PickledStorage(key, type, checked(count * type.Size))
        : throw new InvalidDataException("Its pickle refers to a storage in a way that torch.save does not. " + Remedy);

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
        // Only keys that are text or numbers can name weights.
        if ((key as string ?? (key as long?)?.ToString(CultureInfo.InvariantCulture)) is { } name)
            dictionary[name] = value;
    }

    private static T As<T>(object? value) => value is T expected ? expected : throw Damaged(null);

    private static InvalidDataException Damaged(Exception? e) => new("Its pickle is damaged. Copy or download the file again.", e);

    private T Counted<T>(T container) => ++_containers <= MostContainers
        ? container
        : throw new InvalidDataException($"Its pickle contains more than {MostContainers:N0} lists and dictionaries. {Remedy}");

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

    /// <summary>Reads a number of any length. Null if it does not fit into a long: the size of a tensor always does.</summary>
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
