using System;
using NUnit.Framework;

namespace Facewire.Tests
{
    public sealed class FrameDecoderTests
    {
        FrameDecoder _decoder;
        FaceFrame _frame;

        [SetUp]
        public void SetUp()
        {
            _decoder = new FrameDecoder();
            _frame = new FaceFrame();
        }

        [Test]
        public void EveryFieldArrives()
        {
            var bytes = Messages.Frame(7, 100, 200, channels => channels[51] = 0.25f, "audio", (FaceStreams)31);
            Assert.That(MessageReader.ReadKind(bytes, 0, bytes.Length), Is.EqualTo(MessageKind.Frame));
            Assert.That(Decode(bytes), Is.True);
            Assert.That((_frame.Seq, _frame.CaptureNs, _frame.PublishNs), Is.EqualTo((7L, 100L, 200L)));
            Assert.That(_frame.Sources, Is.EqualTo(FaceSources.Audio));
            Assert.That(_frame.Confidence, Is.EqualTo(0.5f));
            Assert.That(_frame.Streams, Is.EqualTo((FaceStreams)31));
            Assert.That(_frame.Values.Channels[51], Is.EqualTo(0.25f));
            Assert.That(_frame.Values.Head.Y, Is.EqualTo(0.6f).Within(1e-6));
            Assert.That(_frame.Values.Channels[FaceValues.PositionAt + 2], Is.EqualTo(0.5f));
            Assert.That(_frame.Values.Channels[FaceValues.GazeAt + 3], Is.EqualTo(0.4f));
            Assert.That(_frame.Landmarks[1433], Is.EqualTo(1.433f).Within(1e-6));
            Assert.That(_frame.Flame.ExpressionCount, Is.EqualTo(50));
            Assert.That(_frame.Flame.Eyes[5], Is.EqualTo(0.005f).Within(1e-6));
        }

        [Test]
        public void AStreamThatIsNotThereIsAtRestAndNotWhatTheFrameBeforeHad()
        {
            Assert.That(Decode(Messages.Frame(1, 1, 1, channels => channels[0] = 1)), Is.True);
            Assert.That(Decode(Messages.Frame(2, 2, 2, null, "video", FaceStreams.None)), Is.True);
            Assert.That(_frame.Streams, Is.EqualTo(FaceStreams.None));
            Assert.That(_frame.Values.Channels, Is.All.Zero);
            Assert.That(_frame.Values.Head.W, Is.EqualTo(1f));
        }

        [Test]
        public void BlendshapesAreMappedByNameNotByPlace()
        {
            var names = Messages.Names();
            Array.Reverse(names);
            names[0] = "aShapeOfTheFuture";
            _decoder.SetOrder(names);
            Assert.That(Decode(Messages.Frame(1, 1, 1, channels => { channels[0] = 1; channels[51] = 0.5f; })), Is.True);
            Assert.That(_frame.Values.Channels[0], Is.EqualTo(0.5f), "eyeBlinkLeft came last");
            Assert.That(_frame.Values.Channels[51], Is.Zero, "tongueOut did not come at all");
        }

        [Test]
        public void EveryCutFrameIsRefused()
        {
            var bytes = Messages.Frame(7, 100, 200, null, "both", (FaceStreams)31);
            for (var count = 0; count < bytes.Length; count++) Assert.That(_decoder.TryDecode(bytes, 0, count, _frame), Is.False, $"{count} bytes");
        }

        [Test]
        public void TrailingBytesAreRefused()
        {
            var bytes = Messages.Frame(7, 100, 200);
            Array.Resize(ref bytes, bytes.Length + 1);
            Assert.That(Decode(bytes), Is.False);
        }

        [TestCase(float.NaN), TestCase(float.PositiveInfinity)]
        public void NumbersThatAreNotFiniteAreRefused(float bad) =>
            Assert.That(Decode(Messages.Frame(1, 1, 1, channels => channels[17] = bad)), Is.False);

        [Test]
        public void UnknownSourcesAreRefused() => Assert.That(Decode(Messages.Frame(1, 1, 1, null, "radar")), Is.False);

        [Test]
        public void AFlippedByteIsRefusedOrDecodedButNeverThrows()
        {
            var random = new Random(2);
            var bytes = Messages.Frame(7, 100, 200, null, "both", (FaceStreams)31);
            for (var round = 0; round < 20000; round++)
            {
                var damaged = (byte[])bytes.Clone();
                for (var i = random.Next(4); i >= 0; i--) damaged[random.Next(400)] = (byte)random.Next(256);
                if (!Decode(damaged)) continue;
                foreach (var value in _frame.Values.Channels) Assert.That(float.IsNaN(value) || float.IsInfinity(value), Is.False);
            }
        }

        [Test]
        public void NoOtherMessageThrowsWhereverItIsCut()
        {
            foreach (var bytes in new[] { Messages.Hello(), Messages.Pong(1, 2), Messages.Status(), Messages.Error("x", "y"), Messages.Result(1, true, null) })
            {
                for (var count = 0; count < bytes.Length; count++)
                {
                    MessageReader.ReadKind(bytes, 0, count);
                    Assert.That(HelloMessage.TryDecode(bytes, 0, count, out _), Is.False);
                    Assert.That(PongMessage.TryDecode(bytes, 0, count, out _), Is.False);
                    Assert.That(StatusMessage.TryDecode(bytes, 0, count, out _), Is.False);
                    Assert.That(ErrorMessage.TryDecode(bytes, 0, count, out _), Is.False);
                    Assert.That(ResultMessage.TryDecode(bytes, 0, count, out _), Is.False);
                }
            }
        }

        [Test]
        public void StatusIsFlattened()
        {
            var bytes = Messages.Status();
            Assert.That(StatusMessage.TryDecode(bytes, 0, bytes.Length, out var status), Is.True);
            Assert.That(status.Entries, Has.Count.EqualTo(3));
            Assert.That(status.Entries[0].Key + "=" + status.Entries[0].Value, Is.EqualTo("rates.publish=59.94"));
            Assert.That(status.Entries[1].Key + "=" + status.Entries[1].Value, Is.EqualTo("devices.0=camera 0"));
        }

        [Test]
        public void AHelloWithoutAProtocolIsRefused()
        {
            var bytes = Messages.Status();
            Assert.That(HelloMessage.TryDecode(bytes, 0, bytes.Length, out _), Is.False);
        }

        bool Decode(byte[] bytes) => _decoder.TryDecode(bytes, 0, bytes.Length, _frame);
    }
}
