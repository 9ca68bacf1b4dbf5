using System.Collections.Generic;
using UnityEngine;

namespace Facewire
{
    /// <summary>
    /// Records what a FacewireFace shows to an AnimationClip: the shapes of its renderers and its bones' rotations, as they were after
    /// everything else had moved them. The clip is made in the editor; Unity cannot make such clips in a player.
    /// </summary>
    [AddComponentMenu("Facewire/Facewire Clip")]
    [DefaultExecutionOrder(200)]
    [RequireComponent(typeof(FacewireFace))]
    public sealed class FacewireClip : MonoBehaviour
    {
        const float SmallestChange = 1e-3f;

        [Tooltip("A recording ends by itself after so many seconds.")]
        [SerializeField] float longestSeconds = 600;

        readonly List<RecordedTrack> _tracks = new List<RecordedTrack>();
        float _startedAt;

        public bool IsRecording { get; private set; }

        /// <summary>Seconds that are recorded.</summary>
        public float Length { get; private set; }

        public bool HasRecording => !IsRecording && Length > 0;

        public void Begin()
        {
            _tracks.Clear();
            var face = GetComponent<FacewireFace>();
            foreach (var renderer in GetComponentsInChildren<SkinnedMeshRenderer>(true)) AddShapes(renderer);
            foreach (var bone in new[] { face.Rig.neck, face.Rig.head, face.Rig.leftEye, face.Rig.rightEye }) AddBone(bone);
            _startedAt = Time.time;
            Length = 0;
            IsRecording = _tracks.Count > 0;
            if (!IsRecording) Debug.LogWarning("Facewire: nothing to record: no blend shapes and no bones below this object.", this);
        }

        public void End() => IsRecording = false;

#if UNITY_EDITOR
        /// <summary>
        /// The recording as a clip for an Animator on this object. Tracks that stood still are left out; keys that lie on the line between
        /// their neighbours too.
        /// </summary>
        public AnimationClip ToClip(float frameRate)
        {
            var clip = new AnimationClip { frameRate = frameRate, name = name + " face" };
            foreach (var track in _tracks)
                if (track.Range > SmallestChange || track.IsRotation) clip.SetCurve(track.Path, track.Type, track.Property, track.ToCurve());
            clip.EnsureQuaternionContinuity();
            return clip;
        }
#endif

        void LateUpdate()
        {
            if (!IsRecording) return;
            var time = Time.time - _startedAt;
            for (var i = 0; i < _tracks.Count; i++) _tracks[i].Add(time);
            Length = time;
            if (time < longestSeconds) return;
            End();
            Debug.LogWarning($"Facewire: the recording ended by itself after {longestSeconds} s.", this);
        }

        void OnDisable() => End();

        void AddShapes(SkinnedMeshRenderer renderer)
        {
            var names = ShapeBinding.NamesOf(renderer);
            for (var i = 0; i < names.Count; i++)
                _tracks.Add(new RecordedTrack(PathTo(renderer.transform), typeof(SkinnedMeshRenderer), "blendShape." + names[i], renderer, i));
        }

        void AddBone(Transform bone)
        {
            if (bone == null || !bone.IsChildOf(transform)) return;
            for (var part = 0; part < 4; part++)
                _tracks.Add(new RecordedTrack(PathTo(bone), typeof(Transform), "localRotation." + "xyzw"[part], bone, part));
        }

        /// <summary>Names from this object down to the other, as clips address objects.</summary>
        string PathTo(Transform other)
        {
            var path = "";
            for (; other != transform; other = other.parent) path = path.Length == 0 ? other.name : other.name + "/" + path;
            return path;
        }
    }
}
