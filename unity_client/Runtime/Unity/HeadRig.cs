using System;
using UnityEngine;

namespace Facewire
{
    /// <summary>Head, neck and eye bones, and how they share the motion. Bones that are not set are left out.</summary>
    [Serializable]
    public sealed class HeadRig
    {
        [Tooltip("Whose forward (z) is the way the face looks at rest; empty = the object of this component.")]
        public Transform root;
        public Transform head;
        public Transform neck;
        public Transform leftEye;
        public Transform rightEye;

        [Tooltip("How much of the head's rotation the neck takes.")]
        [Range(0, 1)] public float neckShare = 0.4f;

        [Tooltip("How strongly the eyes turn: 1 as streamed.")]
        [Range(0, 2)] public float eyeGain = 1;

        [Tooltip("Moved by where the head is, for example the hips or a camera rig; empty = the head only turns.")]
        public Transform moved;

        [Tooltip("Units for each metre that the head moves.")]
        public float moveScale = 1;

        BoneBinding _head;
        BoneBinding _neck;
        BoneBinding _leftEye;
        BoneBinding _rightEye;
        Vector3 _movedRest;
        Vector3 _origin;
        Quaternion _ahead = Quaternion.identity;
        bool _hasOrigin;

        internal void Bind()
        {
            _head = Bind(head);
            _neck = Bind(neck);
            _leftEye = Bind(leftEye);
            _rightEye = Bind(rightEye);
            if (moved != null) _movedRest = moved.localPosition;
            _hasOrigin = false;
        }

        /// <summary>Takes the present pose for looking straight ahead from the middle.</summary>
        internal void Recenter(FaceValues face)
        {
            _ahead = Quaternion.Inverse(UnitySpace.Turn(face.Head));
            _origin = UnitySpace.Place(face);
            _hasOrigin = true;
        }

        internal void Apply(Transform self, FaceValues face, float weight, bool overAnimation, bool eyes)
        {
            var axes = root == null ? self : root;
            var turn = _ahead * UnitySpace.Turn(face.Head);
            var neckTurn = _neck == null ? Quaternion.identity : Quaternion.Slerp(Quaternion.identity, turn, _head == null ? 1 : neckShare);
            _neck?.Apply(axes, neckTurn, weight, overAnimation);
            _head?.Apply(axes, turn * Quaternion.Inverse(neckTurn), weight, overAnimation);
            if (eyes) ApplyEyes(axes, turn, face, weight, overAnimation);
            Move(face, weight);
        }

        internal void Restore()
        {
            _head?.Restore();
            _neck?.Restore();
            _leftEye?.Restore();
            _rightEye?.Restore();
            if (moved != null && _hasOrigin) moved.localPosition = _movedRest;
        }

        void ApplyEyes(Transform axes, Quaternion turn, FaceValues face, float weight, bool overAnimation)
        {
            // The gaze is relative to the head, which has turned: its axes are the head's.
            var back = Quaternion.Inverse(turn);
            var left = Quaternion.SlerpUnclamped(Quaternion.identity, UnitySpace.Gaze(face, 0), eyeGain);
            var right = Quaternion.SlerpUnclamped(Quaternion.identity, UnitySpace.Gaze(face, 1), eyeGain);
            _leftEye?.Apply(axes, turn * left * back, weight, overAnimation);
            _rightEye?.Apply(axes, turn * right * back, weight, overAnimation);
        }

        void Move(FaceValues face, float weight)
        {
            if (moved == null) return;
            var place = UnitySpace.Place(face);
            if (!_hasOrigin) _origin = place;
            _hasOrigin = true;
            moved.localPosition = _movedRest + (place - _origin) * (moveScale * weight);
        }

        static BoneBinding Bind(Transform bone) => bone == null ? null : new BoneBinding(bone);
    }
}
