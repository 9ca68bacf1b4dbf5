using System;
using System.Collections.Generic;

namespace UnityEngine
{
    public struct Keyframe
    {
        public float time, value, inTangent, outTangent;

        public Keyframe(float time, float value, float inTangent, float outTangent)
        {
            this.time = time;
            this.value = value;
            this.inTangent = inTangent;
            this.outTangent = outTangent;
        }
    }

    public class AnimationCurve
    {
        public AnimationCurve(params Keyframe[] keys) => this.keys = keys;

        public Keyframe[] keys { get; set; }
    }

    public sealed class AnimationClip : Object
    {
        public float frameRate { get; set; }

        internal readonly Dictionary<string, AnimationCurve> Curves = new Dictionary<string, AnimationCurve>();

        public void SetCurve(string relativePath, Type type, string propertyName, AnimationCurve curve) =>
            Curves[relativePath + ":" + propertyName] = curve;

        public void EnsureQuaternionContinuity()
        {
        }
    }

    public class Animator : Behaviour
    {
        public bool isHuman => false;

        public Transform GetBoneTransform(HumanBodyBones humanBoneId) => null;
    }

    public enum HumanBodyBones
    {
        Neck = 9,
        Head = 10,
        LeftEye = 21,
        RightEye = 22,
    }
}
