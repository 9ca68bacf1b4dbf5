using System;

namespace Facewire
{
    /// <summary>
    /// Decodes frame messages into a frame that is written over, without allocating. It holds the order in which the server names its
    /// blendshapes, so it belongs to one connection. All of Unity's platforms are little-endian like the wire, so floats are copied.
    /// </summary>
    public sealed class FrameDecoder
    {
        const int HeadFloats = 7;
        const int GazeFloats = 4;

        readonly float[] _floats = new float[ArkitBlendshapes.Count];
        int[] _order;
        int _serverCount = ArkitBlendshapes.Count;

        /// <summary>
        /// Takes the names of hello in the server's order: they are mapped by name, so a server that orders them otherwise, lacks some
        /// or has more still drives the right channels.
        /// </summary>
        public void SetOrder(string[] serverNames)
        {
            var order = new int[serverNames.Length];
            var same = serverNames.Length == ArkitBlendshapes.Count;
            for (var i = 0; i < order.Length; i++)
            {
                order[i] = ArkitBlendshapes.IndexOf(serverNames[i]);
                same &= order[i] == i;
            }
            _serverCount = order.Length;
            _order = same ? null : order;
        }

        /// <summary>Returns false on anything that docs/wire.md does not allow; the frame's content is then undefined.</summary>
        public bool TryDecode(byte[] buffer, int offset, int count, FaceFrame frame)
        {
            var reader = new MsgpackReader(buffer, offset, count);
            if (!reader.TryReadMap(out var pairs)) return false;
            var seen = Keys.None;
            frame.Values.SetToRest();
            frame.Streams = FaceStreams.None;
            for (; pairs > 0; pairs--)
            {
                if (!reader.TryReadString(out var key)) return false;
                if (!TryReadValue(ref reader, key, frame, ref seen)) return false;
            }
            return seen == Keys.All && reader.Remaining == 0;
        }

        [Flags]
        enum Keys
        {
            None = 0,
            Seq = 1,
            CaptureNs = 2,
            PublishNs = 4,
            Sources = 8,
            Confidence = 16,
            All = 31,
        }

        bool TryReadValue(ref MsgpackReader reader, in Slice key, FaceFrame frame, ref Keys seen)
        {
            if (key.Is(WireNames.Seq)) return TryReadCount(ref reader, out frame.Seq, Keys.Seq, ref seen);
            if (key.Is(WireNames.CaptureNs)) return TryReadCount(ref reader, out frame.CaptureNs, Keys.CaptureNs, ref seen);
            if (key.Is(WireNames.PublishNs)) return TryReadCount(ref reader, out frame.PublishNs, Keys.PublishNs, ref seen);
            if (key.Is(WireNames.Sources)) return TryReadSources(ref reader, frame, ref seen);
            if (key.Is(WireNames.Confidence)) return TryReadConfidence(ref reader, frame, ref seen);
            if (reader.Peek() == MsgpackType.Nil) return reader.TryReadNil();
            if (key.Is(WireNames.Blendshapes)) return TryReadBlendshapes(ref reader, frame);
            if (key.Is(WireNames.Head)) return TryReadHead(ref reader, frame);
            if (key.Is(WireNames.Gaze)) return TryReadGaze(ref reader, frame);
            if (key.Is(WireNames.Landmarks)) return TryReadLandmarks(ref reader, frame);
            if (key.Is(WireNames.Flame)) return TryReadFlame(ref reader, frame);
            return reader.TrySkip();
        }

        static bool TryReadCount(ref MsgpackReader reader, out long value, Keys key, ref Keys seen)
        {
            seen |= key;
            return reader.TryReadInteger(out value) && value >= 0;
        }

        static bool TryReadConfidence(ref MsgpackReader reader, FaceFrame frame, ref Keys seen)
        {
            seen |= Keys.Confidence;
            if (!reader.TryReadNumber(out var value)) return false;
            frame.Confidence = (float)value;
            return value >= 0 && value <= 1;
        }

        static bool TryReadSources(ref MsgpackReader reader, FaceFrame frame, ref Keys seen)
        {
            seen |= Keys.Sources;
            if (!reader.TryReadString(out var name)) return false;
            for (var i = 0; i < WireNames.SourceNames.Length; i++)
            {
                if (!name.Is(WireNames.SourceNames[i])) continue;
                frame.Sources = (FaceSources)i;
                return true;
            }
            return false;
        }

        bool TryReadBlendshapes(ref MsgpackReader reader, FaceFrame frame)
        {
            if (!reader.TryReadBinary(out var bytes) || bytes.Count != 4 * _serverCount) return false;
            frame.Streams |= FaceStreams.Blendshapes;
            var channels = frame.Values.Channels;
            if (_order == null) return TryCopy(bytes, channels, 0, ArkitBlendshapes.Count);
            for (var i = 0; i < _order.Length; i++)
            {
                var value = BitConverter.ToSingle(bytes.Buffer, bytes.Offset + 4 * i);
                if (!IsFinite(value)) return false;
                if (_order[i] >= 0) channels[_order[i]] = value;
            }
            return true;
        }

        bool TryReadHead(ref MsgpackReader reader, FaceFrame frame)
        {
            if (!TryReadFloats(ref reader, _floats, HeadFloats)) return false;
            frame.Streams |= FaceStreams.Head;
            Array.Copy(_floats, 4, frame.Values.Channels, FaceValues.PositionAt, 3);
            return Rotation.TryNormalize(_floats[0], _floats[1], _floats[2], _floats[3], out frame.Values.Head);
        }

        bool TryReadGaze(ref MsgpackReader reader, FaceFrame frame)
        {
            if (!TryReadFloats(ref reader, _floats, GazeFloats)) return false;
            frame.Streams |= FaceStreams.Gaze;
            Array.Copy(_floats, 0, frame.Values.Channels, FaceValues.GazeAt, GazeFloats);
            return true;
        }

        static bool TryReadLandmarks(ref MsgpackReader reader, FaceFrame frame)
        {
            frame.Streams |= FaceStreams.Landmarks;
            var landmarks = frame.EnsureLandmarks();
            return TryReadFloats(ref reader, landmarks, landmarks.Length);
        }

        static bool TryReadFlame(ref MsgpackReader reader, FaceFrame frame)
        {
            if (!reader.TryReadMap(out var pairs)) return false;
            frame.Streams |= FaceStreams.Flame;
            var flame = frame.Values.EnsureFlame();
            for (; pairs > 0; pairs--)
                if (!reader.TryReadString(out var key) || !TryReadFlameValue(ref reader, key, flame)) return false;
            return true;
        }

        static bool TryReadFlameValue(ref MsgpackReader reader, in Slice key, FlameValues flame)
        {
            if (key.Is(WireNames.Jaw)) return TryReadFloats(ref reader, flame.Jaw, 3);
            if (key.Is(WireNames.Neck)) return TryReadFloats(ref reader, flame.Neck, 3);
            if (key.Is(WireNames.Eyes)) return TryReadFloats(ref reader, flame.Eyes, 6);
            if (!key.Is(WireNames.Expression)) return reader.TrySkip();
            if (!reader.TryReadBinary(out var bytes) || bytes.Count % 4 != 0) return false;
            flame.ExpressionCount = bytes.Count / 4;
            return flame.ExpressionCount <= FlameValues.MaxExpression && TryCopy(bytes, flame.Expression, 0, flame.ExpressionCount);
        }

        static bool TryReadFloats(ref MsgpackReader reader, float[] into, int count) =>
            reader.TryReadBinary(out var bytes) && bytes.Count == 4 * count && TryCopy(bytes, into, 0, count);

        static bool TryCopy(in Slice bytes, float[] into, int at, int count)
        {
            Buffer.BlockCopy(bytes.Buffer, bytes.Offset, into, 4 * at, 4 * count);
            for (var i = at; i < at + count; i++)
                if (!IsFinite(into[i])) return false;
            return true;
        }

        static bool IsFinite(float value) => !float.IsNaN(value) && !float.IsInfinity(value);
    }
}
