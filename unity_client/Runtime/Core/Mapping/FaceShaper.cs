namespace Facewire
{
    /// <summary>What a user wants changed between the stream and the character: strength for each region, and a mirror.</summary>
    public sealed class FaceShaper
    {
        readonly float[] _gains = { 1, 1, 1, 1, 1, 1 };

        /// <summary>Left and right swapped, as a mirror shows a face.</summary>
        public bool Mirror;

        /// <summary>1 = as streamed.</summary>
        public void SetGain(FaceRegion region, float gain) => _gains[(int)region] = gain;

        /// <summary>Writes the changed face; in and out are different objects.</summary>
        public void Apply(FaceValues streamed, FaceValues shaped)
        {
            for (var i = 0; i < ArkitBlendshapes.Count; i++)
            {
                var from = Mirror ? ArkitBlendshapes.MirrorOf(i) : i;
                shaped.Channels[i] = streamed.Channels[from] * _gains[(int)ArkitBlendshapes.RegionOf(i)];
            }
            shaped.ClampBlendshapes();
            ApplyPose(streamed, shaped);
        }

        void ApplyPose(FaceValues streamed, FaceValues shaped)
        {
            const int position = FaceValues.PositionAt;
            const int gaze = FaceValues.GazeAt;
            var from = streamed.Channels;
            var to = shaped.Channels;
            var side = Mirror ? -1f : 1f;
            var swap = Mirror ? 2 : 0;
            to[position] = side * from[position];
            to[position + 1] = from[position + 1];
            to[position + 2] = from[position + 2];
            to[gaze] = side * from[gaze + swap];
            to[gaze + 1] = from[gaze + 1 + swap];
            to[gaze + 2] = side * from[gaze + 2 - swap];
            to[gaze + 3] = from[gaze + 3 - swap];
            shaped.Head = Mirror ? streamed.Head.Mirrored : streamed.Head;
        }
    }
}
