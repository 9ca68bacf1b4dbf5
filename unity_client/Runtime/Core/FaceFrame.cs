using System;

namespace Facewire
{
    /// <summary>One frame as it came from the server. Made once and written over: copy what is to be kept.</summary>
    public sealed class FaceFrame
    {
        public const int LandmarkCount = 478;

        public readonly FaceValues Values = new FaceValues();

        /// <summary>Which parts this frame carries.</summary>
        public FaceStreams Streams;

        /// <summary>Counts up by one for each frame that the server publishes: a gap is a frame that never came.</summary>
        public long Seq;

        /// <summary>The session's clock when the newest input behind the frame was captured.</summary>
        public long CaptureNs;

        /// <summary>The session's clock when the frame was handed to the server.</summary>
        public long PublishNs;

        /// <summary>This machine's clock when the frame had arrived.</summary>
        public long ReceivedNs;

        public FaceSources Sources;
        public float Confidence;

        /// <summary>x, y, depth of 478 points in pixels of the source image; null until a frame brings some.</summary>
        public float[] Landmarks;

        /// <summary>Null until a frame brings some; at rest where this one has none.</summary>
        public FlameValues Flame => Values.Flame;

        public void CopyFrom(FaceFrame other)
        {
            Values.CopyFrom(other.Values);
            Streams = other.Streams;
            Seq = other.Seq;
            CaptureNs = other.CaptureNs;
            PublishNs = other.PublishNs;
            ReceivedNs = other.ReceivedNs;
            Sources = other.Sources;
            Confidence = other.Confidence;
            if ((Streams & FaceStreams.Landmarks) != 0) Array.Copy(other.Landmarks, EnsureLandmarks(), other.Landmarks.Length);
        }

        internal float[] EnsureLandmarks() => Landmarks ?? (Landmarks = new float[3 * LandmarkCount]);
    }
}
