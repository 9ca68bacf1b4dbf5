using System.Collections.Generic;
using UnityEngine;

namespace Facewire
{
    /// <summary>One renderer with its shapes looked up: indices are cached, applying allocates nothing.</summary>
    sealed class ShapeBinding
    {
        const float FullWeight = 100;

        /// <summary>Smaller changes are not seen and need no new skinning.</summary>
        const float Step = 0.01f;

        readonly ChannelMap _map;
        readonly float[] _shapes;
        readonly float[] _rest;
        readonly float[] _written;

        ShapeBinding(SkinnedMeshRenderer renderer, ChannelMap map)
        {
            Renderer = renderer;
            Mesh = renderer.sharedMesh;
            _map = map;
            var count = Mesh.blendShapeCount;
            _shapes = new float[count];
            _rest = new float[count];
            _written = new float[count];
            for (var i = 0; i < count; i++) _rest[i] = _written[i] = renderer.GetBlendShapeWeight(i);
        }

        public SkinnedMeshRenderer Renderer { get; }
        public Mesh Mesh { get; }
        public int DrivenCount => _map.Driven.Count;

        /// <summary>Null where nothing can be bound, with a line that says why.</summary>
        public static ShapeBinding Make(SkinnedMeshRenderer renderer, IEnumerable<MapRow> rows, List<string> problems)
        {
            var names = NamesOf(renderer);
            if (renderer.sharedMesh == null) problems.Add($"'{renderer.name}' has no mesh.");
            else if (names.Count == 0) problems.Add($"'{renderer.name}' has no blend shapes.");
            if (names.Count == 0) return null;
            var binding = new ShapeBinding(renderer, ChannelMap.Bind(rows ?? AutoMapper.Map(names).Rows, names));
            if (binding.DrivenCount > 0) return binding;
            problems.Add($"'{renderer.name}': no shape has a name that is known; map them by hand in a Facewire Mapping.");
            return null;
        }

        public static List<string> NamesOf(SkinnedMeshRenderer renderer)
        {
            var names = new List<string>();
            var mesh = renderer.sharedMesh;
            for (var i = 0; mesh != null && i < mesh.blendShapeCount; i++) names.Add(mesh.GetBlendShapeName(i));
            return names;
        }

        /// <summary>
        /// Writes the driven shapes: <paramref name="weight"/> of the stream over what the Animator has written this frame, or over
        /// what the shapes were when they were bound.
        /// </summary>
        public void Apply(FaceValues face, float weight, bool overAnimation)
        {
            _map.Apply(face.Channels, _shapes);
            var driven = _map.Driven;
            for (var i = 0; i < driven.Count; i++)
            {
                var shape = driven[i];
                var below = overAnimation ? Renderer.GetBlendShapeWeight(shape) : _rest[shape];
                var value = below + (_shapes[shape] * FullWeight - below) * weight;
                if (!overAnimation && Mathf.Abs(value - _written[shape]) < Step) continue;
                _written[shape] = value;
                Renderer.SetBlendShapeWeight(shape, value);
            }
        }

        /// <summary>Leaves the shapes as they were found.</summary>
        public void Restore()
        {
            if (Renderer == null || Renderer.sharedMesh != Mesh) return;
            var driven = _map.Driven;
            for (var i = 0; i < driven.Count; i++) Renderer.SetBlendShapeWeight(driven[i], _rest[driven[i]]);
        }
    }
}
