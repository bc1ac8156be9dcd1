using Microsoft.ML.Flooding.Images;
using TorchSharp.Modules;
using static TorchSharp.torch;
using static TorchSharp.torch.nn;

namespace Microsoft.ML.Flooding.Networks;

/// <summary>
/// Dosovitskiy et al., "An Image is Worth 16x16 Words", ICLR 2021, arXiv:2010.11929, in the smaller sizes of Touvron et al.
/// (ICML 2021, arXiv:2012.12877). Parameters as timm names them.
/// </summary>
/// <remarks>Pixels beyond the last whole patch are ignored.</remarks>
internal sealed class VisionTransformer : Network
{
    private const double Epsilon = 1e-6;
    private static readonly long[] ToTokens = [0, 2, 1];
    private readonly int _patch;
    private readonly Conv2d _patches;
    private readonly Stack _blocks;
    private readonly LayerNorm _norm;

    public VisionTransformer(VisionTransformerConfiguration configuration, int patch, ImageShape shape, int classes)
        : base(nameof(VisionTransformer))
    {
        if (Math.Min(shape.Height, shape.Width) < patch)
        {
            throw new ArgumentException(
                $"This vision transformer needs images of at least {patch} x {patch} pixels; these are {shape}.");
        }
        _patch = patch;
        Grid = GridOf(shape);
        var width = configuration.Width;
        this.Register("cls_token", Parameter(zeros(1, 1, width)));
        this.Register("pos_embed", Parameter(zeros(1, 1 + (Grid.Height * Grid.Width), width)));
        _patches = Conv2d(shape.Channels, width, patch, patch);
        this.Register("patch_embed", new Naming(("proj", _patches)));
        _blocks = this.Register(
            "blocks", new Stack(Enumerable.Range(0, configuration.Depth).Select(_ => new Encoder(width, configuration.Heads))));
        _norm = this.Register("norm", LayerNorm(width, Epsilon));
        Head = this.Register("head", Linear(width, classes));
    }

    public override Linear Head { get; }

    /// <summary>The number of patches that an image is divided into. Each has a position embedding.</summary>
    public (int Height, int Width) Grid { get; }

    // Not stored in a field: moving a module to another device or type replaces its parameters.
    private Parameter ClassToken => get_parameter("cls_token")!;

    public Parameter Positions => get_parameter("pos_embed")!;

    /// <summary>The number of patches that images of this shape are divided into.</summary>
    public (int Height, int Width) GridOf(ImageShape shape) => (shape.Height / _patch, shape.Width / _patch);

    /// <summary>The side of a patch, in pixels, for a stem.</summary>
    public static int PatchOf(bool smallStem, ImageShape shape) => smallStem ? Math.Max(shape.Height, shape.Width) <= 32 ? 4 : 8 : 16;

    public override T Features<T>(IOperators<T> op, T x)
    {
        x = op.Permute(ToTokens, op.Flatten(2, op.Conv2d(_patches, x)));
        x = op.Concat(1, [op.Repeat(op.Constant(ClassToken), x), x]);
        x = op.Combine(BinaryOperator.Add, x, op.Constant(Positions));
        x = op.LayerNorm(_norm, _blocks.Apply(op, x));
        return op.Flatten(1, op.Slice(1, 0, 1, 1, x));
    }

    protected override void InitializeModule(Module module, Generator generator)
    {
        switch (module)
        {
            case VisionTransformer:
                ClassToken.normal_(0, 1e-6, generator);
                Initialization.TruncatedNormal(Positions, 0.02, generator);
                break;
            case Linear linear:
                Initialization.TruncatedNormal(linear.weight, 0.02, generator);
                linear.bias!.zero_();
                break;
            default:
                base.InitializeModule(module, generator);
                break;
        }
    }

    private sealed class Encoder : Block
    {
        private readonly LayerNorm _norm1;
        private readonly Linear _projection;
        private readonly Linear _output;
        private readonly LayerNorm _norm2;
        private readonly Linear _expand;
        private readonly Linear _project;
        private readonly int _heads;

        public Encoder(int width, int heads) : base(nameof(Encoder))
        {
            _norm1 = this.Register("norm1", LayerNorm(width, Epsilon));
            _projection = Linear(width, 3 * width);
            _output = Linear(width, width);
            this.Register("attn", new Naming(("qkv", _projection), ("proj", _output)));
            _norm2 = this.Register("norm2", LayerNorm(width, Epsilon));
            _expand = Linear(width, 4 * width);
            _project = Linear(4 * width, width);
            this.Register("mlp", new Naming(("fc1", _expand), ("fc2", _project)));
            _heads = heads;
        }

        public override T Apply<T>(IOperators<T> op, T x)
        {
            x = op.Add(op.Attention(_projection, _output, _heads, op.LayerNorm(_norm1, x)), x);
            var y = op.Activate(Activation.Gelu, op.Linear(_expand, op.LayerNorm(_norm2, x)));
            return op.Add(op.Linear(_project, y), x);
        }
    }
}

/// <summary>The width of a token, the number of blocks, and the number of attention heads.</summary>
internal sealed record VisionTransformerConfiguration(int Width, int Depth, int Heads)
{
    public static VisionTransformerConfiguration Tiny { get; } = new(192, 12, 3);

    public static VisionTransformerConfiguration Small { get; } = new(384, 12, 6);
}
