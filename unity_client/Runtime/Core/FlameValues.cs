namespace Facewire
{
    /// <summary>FLAME parameters of a frame, for subscribers that ask for them; rotations are axis-angle in radians.</summary>
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
    }
}
