using System;
using System.IO;
using System.Text;
using NUnit.Framework;

namespace Facewire.Tests
{
    /// <summary>FLAME from the wire through the playout to a skinned mesh; and files that are none.</summary>
    public sealed class FlameTests
    {
        const long FrameNs = 16_666_667;

        /// <summary>Where the file below has its material's first triangle: after five counts and three texts.</summary>
        const int FirstTriangleAt = 28 + 5 + 3 + 5;

        [Test]
        public void ThePlayoutBlendsFlameLikeTheRest()
        {
            var buffer = new JitterBuffer(new PlayoutSettings());
            var pose = new FacePose();
            var frame = new FaceFrame();
            for (var i = 0; i < 120; i++)
            {
                Decode(i, frame, i % 2);
                buffer.Insert(frame);
                buffer.Sample(i * FrameNs + FrameNs / 2, pose);
            }
            Assert.That(pose.Values.Flame.ExpressionCount, Is.EqualTo(50));
            // All values of a frame go up and down together: between two frames all are at the same share of it.
            var share = pose.Values.Channels[17];
            Assert.That(share, Is.InRange(0.05f, 0.95f), "between two frames");
            Assert.That(pose.Values.Flame.Jaw[0], Is.EqualTo(0.1f * share).Within(1e-3));
            Assert.That(pose.Values.Flame.Expression[49], Is.EqualTo(share).Within(1e-2));
        }

        [Test]
        public void WithoutFramesFlameEasesToRest()
        {
            var buffer = new JitterBuffer(new PlayoutSettings());
            var pose = new FacePose();
            var frame = new FaceFrame();
            for (var i = 0; i < 60; i++)
            {
                Decode(i, frame, 1);
                buffer.Insert(frame);
                buffer.Sample(i * FrameNs, pose);
            }
            Assert.That(pose.Values.Flame.Jaw[0], Is.GreaterThan(0.05f));
            for (var i = 60; i < 300; i++) buffer.Sample(i * FrameNs, pose);
            Assert.That(pose.Phase, Is.EqualTo(PlayoutPhase.Resting));
            Assert.That(pose.Values.Flame.Jaw[0], Is.Zero.Within(1e-4));
        }

        [Test]
        public void AFrameWithoutFlameIsRest()
        {
            var frame = new FaceFrame();
            Decode(0, frame, 1);
            Assert.That(frame.Flame.Expression[1], Is.EqualTo(1f));
            var bytes = Messages.Frame(1, 0, 0);
            Assert.That(new FrameDecoder().TryDecode(bytes, 0, bytes.Length, frame), Is.True);
            Assert.That(frame.Streams & FaceStreams.Flame, Is.EqualTo(FaceStreams.None));
            Assert.That(frame.Flame.Expression[1], Is.Zero);
        }

        [Test]
        public void StreamsWithoutFlameTakeNoMemoryForIt()
        {
            var buffer = new JitterBuffer(new PlayoutSettings());
            var pose = new FacePose();
            var frame = new FaceFrame();
            var bytes = Messages.Frame(1, 0, 0);
            new FrameDecoder().TryDecode(bytes, 0, bytes.Length, frame);
            buffer.Insert(frame);
            buffer.Sample(FrameNs, pose);
            Assert.That(pose.Values.Flame, Is.Null);
        }

        [Test]
        public void SkinningAndPlayoutLeaveNoGarbage()
        {
            var skinner = new FlameSkinner(FlameMesh.Read(Made(200, 20)));
            var buffer = new JitterBuffer(new PlayoutSettings());
            var pose = new FacePose();
            var frames = new byte[16][];
            for (var i = 0; i < frames.Length; i++) frames[i] = Messages.Frame(i, i * FrameNs, i * FrameNs, null, "video", (FaceStreams)31);
            var frame = new FaceFrame();
            var decoder = new FrameDecoder();
            var before = 0L;
            for (var i = 0; i < 1200; i++)
            {
                if (i == 200) before = Allocated.Bytes();
                var bytes = frames[i % frames.Length];
                decoder.TryDecode(bytes, 0, bytes.Length, frame);
                frame.Seq = i;
                frame.CaptureNs = frame.PublishNs = frame.ReceivedNs = i * FrameNs;
                buffer.Insert(frame);
                buffer.Sample(i * FrameNs, pose);
                skinner.Skin(pose.Values.Flame, 1);
            }
            Assert.That(Allocated.Bytes() - before, Is.Zero);
        }

        [Test]
        public void MoreOrFewerCoefficientsThanTheMeshHasAreNoProblem()
        {
            var skinner = new FlameSkinner(FlameMesh.Read(Made(100, 4)));
            var values = new FlameValues { ExpressionCount = 400 };
            for (var i = 4; i < 400; i++) values.Expression[i] = 5;
            skinner.Skin(values, 1);
            var rest = (float[])skinner.Vertices.Clone();
            values.Expression[1] = 1;
            values.ExpressionCount = 1;
            skinner.Skin(values, 1);
            Assert.That(skinner.Vertices, Is.EqualTo(rest), "the second was not sent");
            values.ExpressionCount = 2;
            skinner.Skin(values, 1);
            Assert.That(skinner.Vertices, Is.Not.EqualTo(rest));
        }

        [Test]
        public void AFileThatIsNoneOrCutIsRefusedWhereverItIsCut()
        {
            var whole = Made(100, 2);
            Assert.That(FlameMesh.Read(whole).Name, Is.EqualTo("made"));
            Assert.That(() => FlameMesh.Read(Encoding.ASCII.GetBytes("FWHEAD1\0 and more")), Throws.TypeOf<InvalidDataException>());
            Assert.That(() => FlameMesh.Read(new byte[0]), Throws.TypeOf<InvalidDataException>());
            for (var length = 8; length < whole.Length; length += 97)
            {
                var cut = new byte[length];
                Array.Copy(whole, cut, length);
                Assert.That(() => FlameMesh.Read(cut), Throws.TypeOf<EndOfStreamException>(), $"at {length}");
            }
        }

        [TestCase(8, 0x7FFFFFFF), TestCase(8, -1), TestCase(12, 0), TestCase(16, 0), TestCase(16, 1000), TestCase(20, 100000), TestCase(24, 37)]
        [TestCase(FirstTriangleAt, 1), TestCase(FirstTriangleAt + 4, 0), TestCase(FirstTriangleAt + 4, 0x7FFFFFFF)]
        public void CountsThatNoFileHoldsTakeNoMemory(int at, int count)
        {
            var bytes = Made(100, 2);
            BitConverter.GetBytes(count).CopyTo(bytes, at);
            Assert.That(() => FlameMesh.Read(bytes), Throws.InstanceOf<IOException>().Or.InstanceOf<InvalidDataException>());
        }

        [Test]
        public void ATriangleBeyondTheVerticesIsRefused()
        {
            var bytes = Made(100, 2);
            BitConverter.GetBytes((ushort)100).CopyTo(bytes, FirstTriangleAt + 8 + 12 * 100);
            Assert.That(() => FlameMesh.Read(bytes), Throws.TypeOf<InvalidDataException>().With.Message.Contains("a triangle"));
        }

        [Test]
        public void HelloNamesTheFlame()
        {
            var writer = new MsgpackWriter();
            writer.WriteMap(3);
            writer.WriteString("protocol");
            writer.WriteInteger(1);
            writer.WriteString("flame");
            writer.WriteMap(4);
            writer.WriteString("model");
            writer.WriteString("open");
            writer.WriteString("digest");
            writer.WriteString("12ab");
            writer.WriteString("expressions");
            writer.WriteInteger(50);
            writer.WriteString("later");
            writer.WriteBoolean(true);
            writer.WriteString("rate");
            writer.WriteNumber(60);
            var bytes = Messages.Bytes(writer);
            Assert.That(HelloMessage.TryDecode(bytes, 0, bytes.Length, out var hello), Is.True);
            Assert.That((hello.FlameModel, hello.FlameDigest, hello.FlameExpressions), Is.EqualTo(("open", "12ab", 50L)));
        }

        static void Decode(int seq, FaceFrame frame, float level)
        {
            var bytes = Messages.Frame(seq, seq * FrameNs, seq * FrameNs, channels => channels[17] = level, "video", (FaceStreams)31);
            Assert.That(new FrameDecoder().TryDecode(bytes, 0, bytes.Length, frame), Is.True);
            frame.ReceivedNs = seq * FrameNs;
            for (var i = 0; i < 50; i++) frame.Flame.Expression[i] = level;
            frame.Flame.Jaw[0] = 0.1f * level;
        }

        /// <summary>A mesh in the format of models/flame/packed.py, its numbers of no meaning.</summary>
        internal static byte[] Made(int vertices, int expressions)
        {
            var stream = new MemoryStream();
            var writer = new BinaryWriter(stream);
            writer.Write(Encoding.ASCII.GetBytes("FWFLAME1"));
            foreach (var count in new[] { vertices, vertices / 3, 1, expressions, 1 }) writer.Write(count);
            writer.Write("made");
            writer.Write("ab");
            writer.Write("skin");
            writer.Write(0);
            writer.Write(vertices / 3);
            for (var i = 0; i < 3 * vertices; i++) writer.Write(0.001f * (i % 100));
            for (var i = 0; i < vertices / 3 * 3; i++) writer.Write((ushort)i);
            for (var i = 0; i < 5 * vertices; i++) writer.Write((ushort)13107);
            for (var i = 0; i < 15; i++) writer.Write(0.01f * i);
            for (var column = 0; column < expressions; column++) WriteColumn(writer, vertices, column);
            writer.Write(9);
            WriteColumn(writer, vertices, 5);
            return stream.ToArray();
        }

        static void WriteColumn(BinaryWriter writer, int vertices, int seed)
        {
            writer.Write(1e-6f);
            for (var i = 0; i < 3 * vertices; i++) writer.Write((short)(i * (seed + 3) % 1000));
        }
    }
}
