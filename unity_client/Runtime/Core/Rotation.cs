using System;

namespace Facewire
{
    /// <summary>A unit quaternion, x y z w, in a right-handed space (x to the subject's left, y up, z out of the face).</summary>
    public readonly struct Rotation
    {
        public static readonly Rotation Identity = new Rotation(0, 0, 0, 1);

        public readonly float X;
        public readonly float Y;
        public readonly float Z;
        public readonly float W;

        public Rotation(float x, float y, float z, float w)
        {
            X = x;
            Y = y;
            Z = z;
            W = w;
        }

        public Rotation Inverse => new Rotation(-X, -Y, -Z, W);

        /// <summary>The same rotation seen in a mirror that swaps left and right; also what a left-handed space makes of it.</summary>
        public Rotation Mirrored => new Rotation(X, -Y, -Z, W);

        public float Dot(in Rotation other) => X * other.X + Y * other.Y + Z * other.Z + W * other.W;

        /// <summary>The angle between two rotations in radians, 0 to pi.</summary>
        public float AngleTo(in Rotation other)
        {
            var delta = Inverse * other;
            var sine = Math.Sqrt(delta.X * delta.X + delta.Y * delta.Y + delta.Z * delta.Z);
            return (float)(2 * Math.Atan2(sine, Math.Abs(delta.W)));
        }

        /// <summary>Turns by <paramref name="right"/> first, then by <paramref name="left"/>.</summary>
        public static Rotation operator *(in Rotation left, in Rotation right) => new Rotation(
            left.W * right.X + left.X * right.W + left.Y * right.Z - left.Z * right.Y,
            left.W * right.Y - left.X * right.Z + left.Y * right.W + left.Z * right.X,
            left.W * right.Z + left.X * right.Y - left.Y * right.X + left.Z * right.W,
            left.W * right.W - left.X * right.X - left.Y * right.Y - left.Z * right.Z);

        /// <summary>Along the great arc from a to b, the short way round; t outside 0..1 goes on along the same arc.</summary>
        public static Rotation Slerp(in Rotation a, in Rotation b, float t)
        {
            var cosine = a.Dot(b);
            var sign = cosine < 0 ? -1f : 1f;
            cosine *= sign;
            // Below about half a degree the arc is straight to float precision, and the sine too small to divide by.
            if (cosine > 0.99999f) return Blend(a, 1 - t, b, sign * t);
            var angle = Math.Acos(cosine);
            var scale = 1 / Math.Sin(angle);
            return Blend(a, (float)(Math.Sin((1 - t) * angle) * scale), b, sign * (float)(Math.Sin(t * angle) * scale));
        }

        /// <summary>Returns false where the four numbers are no rotation: not finite, or next to zero.</summary>
        public static bool TryNormalize(float x, float y, float z, float w, out Rotation rotation)
        {
            var length = Math.Sqrt((double)x * x + (double)y * y + (double)z * z + (double)w * w);
            var scale = (float)(1 / length);
            rotation = new Rotation(x * scale, y * scale, z * scale, w * scale);
            return length > 1e-3 && length < 1e6;
        }

        static Rotation Blend(in Rotation a, float weightA, in Rotation b, float weightB)
        {
            TryNormalize(
                a.X * weightA + b.X * weightB,
                a.Y * weightA + b.Y * weightB,
                a.Z * weightA + b.Z * weightB,
                a.W * weightA + b.W * weightB,
                out var blend);
            return blend;
        }
    }
}
