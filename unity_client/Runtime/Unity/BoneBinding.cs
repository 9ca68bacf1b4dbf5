using UnityEngine;

namespace Facewire
{
    /// <summary>One bone that is turned about the character's axes, however its own lie.</summary>
    sealed class BoneBinding
    {
        readonly Transform _bone;
        readonly Quaternion _rest;

        public BoneBinding(Transform bone)
        {
            _bone = bone;
            _rest = bone.localRotation;
        }

        /// <summary>
        /// Turns the bone away from its rest, or from what the Animator has written this frame. <paramref name="turn"/> is about the axes
        /// of <paramref name="root"/>; bones above it must have been turned before.
        /// </summary>
        public void Apply(Transform root, Quaternion turn, float weight, bool overAnimation)
        {
            if (_bone == null) return;
            if (!overAnimation) _bone.localRotation = _rest;
            var axes = root.rotation;
            var turned = axes * turn * Quaternion.Inverse(axes) * _bone.rotation;
            _bone.rotation = Quaternion.Slerp(_bone.rotation, turned, weight);
        }

        public void Restore()
        {
            if (_bone != null) _bone.localRotation = _rest;
        }
    }
}
