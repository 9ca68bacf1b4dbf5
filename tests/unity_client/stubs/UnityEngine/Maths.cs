// Just enough of UnityEngine to compile and exercise the client without Unity. It proves types and our own arithmetic, never the engine.
using System;

namespace UnityEngine
{
    public struct Vector3
    {
        public float x, y, z;

        public Vector3(float x, float y, float z)
        {
            this.x = x;
            this.y = y;
            this.z = z;
        }

        public static Vector3 zero => default;
        public static Vector3 one => new Vector3(1, 1, 1);
        public static Vector3 up => new Vector3(0, 1, 0);
        public static Vector3 forward => new Vector3(0, 0, 1);
        public static Vector3 operator +(Vector3 a, Vector3 b) => new Vector3(a.x + b.x, a.y + b.y, a.z + b.z);
        public static Vector3 operator -(Vector3 a, Vector3 b) => new Vector3(a.x - b.x, a.y - b.y, a.z - b.z);
        public static Vector3 operator *(Vector3 a, float b) => new Vector3(a.x * b, a.y * b, a.z * b);

        public Vector3 normalized
        {
            get
            {
                var length = (float)Math.Sqrt(x * x + y * y + z * z);
                return length > 1e-12f ? this * (1 / length) : zero;
            }
        }

        public static Vector3 Cross(Vector3 lhs, Vector3 rhs) =>
            new Vector3(lhs.y * rhs.z - lhs.z * rhs.y, lhs.z * rhs.x - lhs.x * rhs.z, lhs.x * rhs.y - lhs.y * rhs.x);
    }

    public struct Quaternion
    {
        public float x, y, z, w;

        public Quaternion(float x, float y, float z, float w)
        {
            this.x = x;
            this.y = y;
            this.z = z;
            this.w = w;
        }

        public static Quaternion identity => new Quaternion(0, 0, 0, 1);

        public float this[int index] => index == 0 ? x : index == 1 ? y : index == 2 ? z : w;

        public static Quaternion Inverse(Quaternion rotation) => new Quaternion(-rotation.x, -rotation.y, -rotation.z, rotation.w);

        /// <summary>About z, then x, then y, in degrees, as Unity documents it.</summary>
        public static Quaternion Euler(float x, float y, float z) => About(1, y) * About(0, x) * About(2, z);

        public static Quaternion Slerp(Quaternion a, Quaternion b, float t) => SlerpUnclamped(a, b, Mathf.Clamp01(t));

        public static Quaternion SlerpUnclamped(Quaternion a, Quaternion b, float t)
        {
            var cosine = a.x * b.x + a.y * b.y + a.z * b.z + a.w * b.w;
            var sign = cosine < 0 ? -1.0 : 1.0;
            var angle = Math.Acos(Math.Min(1, cosine * sign));
            var sine = Math.Sin(angle);
            var p = sine < 1e-6 ? 1 - t : Math.Sin((1 - t) * angle) / sine;
            var q = sign * (sine < 1e-6 ? t : Math.Sin(t * angle) / sine);
            return new Quaternion((float)(p * a.x + q * b.x), (float)(p * a.y + q * b.y), (float)(p * a.z + q * b.z), (float)(p * a.w + q * b.w));
        }

        public static Quaternion operator *(Quaternion a, Quaternion b) => new Quaternion(
            a.w * b.x + a.x * b.w + a.y * b.z - a.z * b.y,
            a.w * b.y - a.x * b.z + a.y * b.w + a.z * b.x,
            a.w * b.z + a.x * b.y - a.y * b.x + a.z * b.w,
            a.w * b.w - a.x * b.x - a.y * b.y - a.z * b.z);

        public static Vector3 operator *(Quaternion a, Vector3 b)
        {
            var turned = a * new Quaternion(b.x, b.y, b.z, 0) * Inverse(a);
            return new Vector3(turned.x, turned.y, turned.z);
        }

        static Quaternion About(int axis, float degrees)
        {
            var half = degrees * Math.PI / 360;
            var sine = (float)Math.Sin(half);
            return new Quaternion(axis == 0 ? sine : 0, axis == 1 ? sine : 0, axis == 2 ? sine : 0, (float)Math.Cos(half));
        }
    }

    public struct Bounds
    {
        public Bounds(Vector3 center, Vector3 size)
        {
            this.center = center;
            this.size = size;
        }

        public Vector3 center { get; set; }
        public Vector3 size { get; set; }

        public void Expand(float amount) => size += new Vector3(amount, amount, amount);
    }

    public struct Rect
    {
    }

    public struct Color
    {
        public float r, g, b, a;

        public Color(float r, float g, float b)
        {
            this.r = r;
            this.g = g;
            this.b = b;
            a = 1;
        }
    }

    public struct Mathf
    {
        public const float Rad2Deg = 57.29578f;

        public static float Abs(float f) => Math.Abs(f);

        public static float Min(float a, float b) => Math.Min(a, b);

        public static float Max(float a, float b) => Math.Max(a, b);

        public static float Clamp(float value, float min, float max) => Math.Min(Math.Max(value, min), max);

        public static float Clamp01(float value) => Clamp(value, 0, 1);
    }
}
