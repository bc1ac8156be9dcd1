using Microsoft.ML.Data;

namespace Microsoft.ML.Flooding.Runtime;

/// <summary>What ML.NET's data views do not say of themselves.</summary>
internal static class HostViews
{
    /// <summary>Whether rows come through a cache of ML.NET's, which holds no columns of MLImage.</summary>
    public static bool IsCached(IDataView data)
    {
        while (data is IDataTransform transform)
            data = transform.Source;
        return data is CacheDataView;
    }
}
