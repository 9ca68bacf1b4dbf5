using System;
using System.Collections.Generic;

namespace Facewire
{
    /// <summary>A mapping bound to one rig: names are looked up once, applying it is one loop without allocation.</summary>
    public sealed class ChannelMap
    {
        readonly int[] _target;
        readonly int[] _source;
        readonly float[] _weight;
        readonly int[] _driven;

        ChannelMap(int[] target, int[] source, float[] weight, int[] driven)
        {
            _target = target;
            _source = source;
            _weight = weight;
            _driven = driven;
        }

        /// <summary>The indices of the rig's shapes that this mapping moves; it leaves all others alone.</summary>
        public IReadOnlyList<int> Driven => _driven;

        /// <summary>Binds rows to a rig's shape names; rows whose shape or channel is not there are left out.</summary>
        public static ChannelMap Bind(IEnumerable<MapRow> rows, IReadOnlyList<string> rigNames)
        {
            var indices = new Dictionary<string, int>(StringComparer.Ordinal);
            for (var i = 0; i < rigNames.Count; i++) indices[rigNames[i]] = i;
            var target = new List<int>();
            var source = new List<int>();
            var weight = new List<float>();
            foreach (var row in rows)
            {
                var channel = row.Source == null ? -1 : ArkitBlendshapes.IndexOf(row.Source);
                if (channel < 0 || row.Target == null || !indices.TryGetValue(row.Target, out var index)) continue;
                target.Add(index);
                source.Add(channel);
                weight.Add(row.Weight);
            }
            var driven = new List<int>(new SortedSet<int>(target));
            return new ChannelMap(target.ToArray(), source.ToArray(), weight.ToArray(), driven.ToArray());
        }

        /// <summary>
        /// Writes the driven shapes' values, 0..1, into <paramref name="shapes"/>, which is as long as the rig's list of names.
        /// </summary>
        public void Apply(float[] channels, float[] shapes)
        {
            for (var i = 0; i < _driven.Length; i++) shapes[_driven[i]] = 0;
            for (var i = 0; i < _target.Length; i++) shapes[_target[i]] += channels[_source[i]] * _weight[i];
            for (var i = 0; i < _driven.Length; i++)
            {
                ref var shape = ref shapes[_driven[i]];
                shape = shape < 0 ? 0 : shape > 1 ? 1 : shape;
            }
        }
    }
}
