using System.Text;

namespace Facewire
{
    /// <summary>The names of docs/wire.md as the bytes that they have in a message.</summary>
    static class WireNames
    {
        public static readonly byte[] Type = Utf8("type");
        public static readonly byte[] Hello = Utf8("hello");
        public static readonly byte[] Frame = Utf8("frame");
        public static readonly byte[] Pong = Utf8("pong");
        public static readonly byte[] Status = Utf8("status");
        public static readonly byte[] Result = Utf8("result");
        public static readonly byte[] Error = Utf8("error");

        public static readonly byte[] Seq = Utf8("seq");
        public static readonly byte[] CaptureNs = Utf8("capture_ns");
        public static readonly byte[] PublishNs = Utf8("publish_ns");
        public static readonly byte[] Sources = Utf8("sources");
        public static readonly byte[] Confidence = Utf8("confidence");
        public static readonly byte[] Blendshapes = Utf8("blendshapes");
        public static readonly byte[] Head = Utf8("head");
        public static readonly byte[] Gaze = Utf8("gaze");
        public static readonly byte[] Landmarks = Utf8("landmarks");
        public static readonly byte[] Flame = Utf8("flame");
        public static readonly byte[] Expression = Utf8("expression");
        public static readonly byte[] Jaw = Utf8("jaw");
        public static readonly byte[] Neck = Utf8("neck");
        public static readonly byte[] Eyes = Utf8("eyes");
        public static readonly byte[] Model = Utf8("model");
        public static readonly byte[] Digest = Utf8("digest");
        public static readonly byte[] Expressions = Utf8("expressions");

        /// <summary>In the order of <see cref="FaceSources"/>.</summary>
        public static readonly byte[][] SourceNames = { Utf8("video"), Utf8("audio"), Utf8("both"), Utf8("held") };

        public static readonly byte[] Protocol = Utf8("protocol");
        public static readonly byte[] Server = Utf8("server");
        public static readonly byte[] Session = Utf8("session");
        public static readonly byte[] Streams = Utf8("streams");
        public static readonly byte[] ClockNs = Utf8("clock_ns");
        public static readonly byte[] Rate = Utf8("rate");
        public static readonly byte[] ClientNs = Utf8("client_ns");
        public static readonly byte[] ServerNs = Utf8("server_ns");
        public static readonly byte[] Id = Utf8("id");
        public static readonly byte[] Ok = Utf8("ok");
        public static readonly byte[] Code = Utf8("code");
        public static readonly byte[] Message = Utf8("message");

        static byte[] Utf8(string name) => Encoding.UTF8.GetBytes(name);
    }
}
