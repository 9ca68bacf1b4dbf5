using System;
using System.Collections.Generic;
using UnityEngine;

namespace Facewire
{
    /// <summary>One number over time: a shape's weight, or one part of a bone's rotation.</summary>
    sealed class RecordedTrack
    {
        const int FirstCapacity = 4096;
        const float OnLine = 1e-4f;

        readonly SkinnedMeshRenderer _renderer;
        readonly Transform _bone;
        readonly int _index;
        readonly List<float> _times = new List<float>(FirstCapacity);
        readonly List<float> _values = new List<float>(FirstCapacity);
        float _lowest = float.MaxValue;
        float _highest = float.MinValue;

        public readonly string Path;
        public readonly Type Type;
        public readonly string Property;

        public RecordedTrack(string path, Type type, string property, SkinnedMeshRenderer renderer, int shape)
            : this(path, type, property, shape) => _renderer = renderer;

        public RecordedTrack(string path, Type type, string property, Transform bone, int part)
            : this(path, type, property, part) => _bone = bone;

        RecordedTrack(string path, Type type, string property, int index)
        {
            Path = path;
            Type = type;
            Property = property;
            _index = index;
        }

        public bool IsRotation => _renderer is null;

        public float Range => _highest - _lowest;

        public void Add(float time)
        {
            var value = IsRotation ? RotationPart() : _renderer.GetBlendShapeWeight(_index);
            _times.Add(time);
            _values.Add(value);
            _lowest = Mathf.Min(_lowest, value);
            _highest = Mathf.Max(_highest, value);
        }

        /// <summary>A curve of straight lines between the keys that matter.</summary>
        public AnimationCurve ToCurve()
        {
            var keys = new List<Keyframe>();
            for (var i = 0; i < _times.Count; i++)
                if (i == 0 || i == _times.Count - 1 || !IsOnLine(i)) keys.Add(new Keyframe(_times[i], _values[i], SlopeBefore(i), SlopeBefore(i + 1)));
            return new AnimationCurve(keys.ToArray());
        }

        float RotationPart()
        {
            var rotation = _bone.localRotation;
            return rotation[_index];
        }

        bool IsOnLine(int i) => Mathf.Abs(SlopeBefore(i) - SlopeBefore(i + 1)) * (_times[i + 1] - _times[i]) < OnLine * Mathf.Max(1, Range);

        float SlopeBefore(int i)
        {
            if (i <= 0 || i >= _times.Count) return 0;
            var elapsed = _times[i] - _times[i - 1];
            return elapsed > 0 ? (_values[i] - _values[i - 1]) / elapsed : 0;
        }
    }
}
