using System;

namespace Facewire
{
    /// <summary>
    /// FLAME parameters of a frame, for subscribers that ask for them; rotations are axis-angle in radians. Coefficients that the server
    /// does not send are 0, which is rest.
    /// </summary>
    public sealed class FlameValues
    {
        /// <summary>At most this many expression coefficients (wire.md).</summary>
        public const int MaxExpression = 400;

        public readonly float[] Expression = new float[MaxExpression];
        public readonly float[] Jaw = new float[3];
        public readonly float[] Neck = new float[3];

        /// <summary>Left, then right eye.</summary>
        public readonly float[] Eyes = new float[6];

        /// <summary>How many coefficients of <see cref="Expression"/> the server sends.</summary>
        public int ExpressionCount;

        public void CopyFrom(FlameValues other)
        {
            Array.Copy(other.Expression, Expression, MaxExpression);
            Array.Copy(other.Jaw, Jaw, 3);
            Array.Copy(other.Neck, Neck, 3);
            Array.Copy(other.Eyes, Eyes, 6);
            ExpressionCount = other.ExpressionCount;
        }

        public void SetToRest()
        {
            Array.Clear(Expression, 0, MaxExpression);
            Array.Clear(Jaw, 0, 3);
            Array.Clear(Neck, 0, 3);
            Array.Clear(Eyes, 0, 6);
        }

        /// <summary>Becomes a + t (b - a). Turns between two frames are small, so their axis-angles blend straight.</summary>
        public void SetToBlend(FlameValues a, FlameValues b, float t)
        {
            ExpressionCount = Math.Max(a.ExpressionCount, b.ExpressionCount);
            Blend(a.Expression, b.Expression, t, Expression);
            Blend(a.Jaw, b.Jaw, t, Jaw);
            Blend(a.Neck, b.Neck, t, Neck);
            Blend(a.Eyes, b.Eyes, t, Eyes);
        }

        /// <summary>Goes on by the whole of <paramref name="other"/> times <paramref name="share"/>.</summary>
        public void Add(FlameValues other, float share)
        {
            ExpressionCount = Math.Max(ExpressionCount, other.ExpressionCount);
            Add(other.Expression, share, Expression);
            Add(other.Jaw, share, Jaw);
            Add(other.Neck, share, Neck);
            Add(other.Eyes, share, Eyes);
        }

        public void Scale(float share)
        {
            Scale(Expression, share);
            Scale(Jaw, share);
            Scale(Neck, share);
            Scale(Eyes, share);
        }

        static void Blend(float[] a, float[] b, float t, float[] into)
        {
            for (var i = 0; i < into.Length; i++) into[i] = a[i] + (b[i] - a[i]) * t;
        }

        static void Add(float[] from, float share, float[] to)
        {
            for (var i = 0; i < to.Length; i++) to[i] += from[i] * share;
        }

        static void Scale(float[] values, float share)
        {
            for (var i = 0; i < values.Length; i++) values[i] *= share;
        }
    }
}
