using System;

namespace Facewire
{
    /// <summary>
    /// All that moves in a face at one moment: the 52 blendshapes (0..1), the head's place in metres and the gaze in radians lie
    /// one after another in <see cref="Channels"/>, so that one loop blends them; the head's rotation is blended on the sphere.
    /// </summary>
    public sealed class FaceValues
    {
        public const int PositionAt = ArkitBlendshapes.Count;
        public const int GazeAt = PositionAt + 3;
        public const int ChannelCount = GazeAt + 4;

        /// <summary>52 blendshapes, x y z of the head, then yaw and pitch of the left and of the right eye.</summary>
        public readonly float[] Channels = new float[ChannelCount];

        /// <summary>The head's rotation against facing the camera.</summary>
        public Rotation Head = Rotation.Identity;

        /// <summary>FLAME parameters; null until a stream brings some.</summary>
        public FlameValues Flame { get; private set; }

        public void CopyFrom(FaceValues other)
        {
            Array.Copy(other.Channels, Channels, ChannelCount);
            Head = other.Head;
            if (other.Flame != null) EnsureFlame().CopyFrom(other.Flame);
            else Flame?.SetToRest();
        }

        /// <summary>The neutral face: all blendshapes 0, looking ahead.</summary>
        public void SetToRest()
        {
            Array.Clear(Channels, 0, ChannelCount);
            Head = Rotation.Identity;
            Flame?.SetToRest();
        }

        /// <summary>Becomes the blend from a (t = 0) to b (t = 1); t beyond 1 goes on in the same direction.</summary>
        public void SetToBlend(FaceValues a, FaceValues b, float t)
        {
            for (var i = 0; i < ChannelCount; i++) Channels[i] = a.Channels[i] + (b.Channels[i] - a.Channels[i]) * t;
            Head = Rotation.Slerp(a.Head, b.Head, t);
            if (a.Flame != null || b.Flame != null) EnsureFlame().SetToBlend(a.Flame ?? NoFlame, b.Flame ?? NoFlame, t);
        }

        internal FlameValues EnsureFlame() => Flame ?? (Flame = new FlameValues());

        /// <summary>Of a moment that brings none: rest. Nobody writes it.</summary>
        static readonly FlameValues NoFlame = new FlameValues();

        /// <summary>Keeps blendshapes in 0..1, which going beyond the newest frame may have left.</summary>
        public void ClampBlendshapes()
        {
            for (var i = 0; i < ArkitBlendshapes.Count; i++)
            {
                if (Channels[i] < 0) Channels[i] = 0;
                else if (Channels[i] > 1) Channels[i] = 1;
            }
        }
    }
}
