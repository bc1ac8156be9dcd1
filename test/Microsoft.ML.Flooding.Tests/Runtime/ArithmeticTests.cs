using Microsoft.ML.Flooding.Runtime;
using static TorchSharp.torch;

namespace Microsoft.ML.Flooding.Tests.Runtime;

[TestClass]
public class ArithmeticTests
{
    [TestMethod]
    public void Results_are_those_of_arithmetic()
    {
        using var scope = NewDisposeScope();
        var x = tensor(new[] { -2f, 0f, 3f });
        var y = tensor(new[] { 1f, 2f, 4f });
        AssertIs([-1, 2, 7], x.Plus(y));
        AssertIs([-1.5f, 0.5f, 3.5f], x.Plus(0.5));
        AssertIs([-2.5f, -0.5f, 2.5f], x.Minus(0.5));
        AssertIs([-1, 0, 1.5f], x.Times(0.5));
        AssertIs([-4, 0, 6], x.Over(0.5));
        AssertIs([-1, 0, 3], x.AtLeast(-1));
        AssertIs([-1, 0, 2], x.Within(-1, 2));
        AssertIs([1, 0, 0], x.IsBelow(0).to(ScalarType.Float32));
        AssertIs([0, 1, 1], x.IsAtLeast(0).to(ScalarType.Float32));
        AssertIs([-2, 0, 3], x);
    }

    [TestMethod]
    public void In_place_the_first_operand_holds_the_result()
    {
        using var scope = NewDisposeScope();
        var x = tensor(new[] { -2f, 0f, 3f });
        var y = tensor(new[] { 1f, 2f, 4f });
        x.PlusInPlace(y);
        AssertIs([-1, 2, 7], x);
        x.PlusInPlace(y, 0.5);
        AssertIs([-0.5f, 3, 9], x);
        x.TimesInPlace(2);
        AssertIs([-1, 6, 18], x);
        x.OverInPlace(4);
        AssertIs([-0.25f, 1.5f, 4.5f], x);
    }

    [TestMethod]
    public void Integers_plus_an_integer_are_integers()
    {
        using var scope = NewDisposeScope();
        var sum = arange(3).Plus(long.MaxValue - 2);
        Assert.AreEqual(ScalarType.Int64, sum.dtype);
        CollectionAssert.AreEqual(new[] { long.MaxValue - 2, long.MaxValue - 1, long.MaxValue }, sum.data<long>().ToArray());
    }

    private static void AssertIs(float[] expected, Tensor actual) => CollectionAssert.AreEqual(expected, actual.data<float>().ToArray());
}
