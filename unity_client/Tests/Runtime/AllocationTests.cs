using NUnit.Framework;

namespace Facewire.Tests
{
    /// <summary>Ten thousand frames through everything that runs for each frame, counted by the runtime: not one byte.</summary>
    public sealed class AllocationTests
    {
        const int Frames = 10000;
        const long FrameNs = 16_666_667;

        [Test]
        public void AFrameLeavesNoGarbageFromBytesToShapes()
        {
            const int warmUp = 600;
            var path = new FramePath(warmUp + Frames);
            for (var i = 0; i < warmUp; i++) path.Step(i);
            var before = Allocated.Bytes();
            for (var i = warmUp; i < warmUp + Frames; i++) path.Step(i);
            var bytes = Allocated.Bytes() - before;
            Assert.That(bytes, Is.Zero);
            Assert.That(path.Taken, Is.EqualTo(warmUp + Frames));
            Assert.That(path.Phase, Is.EqualTo(PlayoutPhase.Live));
        }

        /// <summary>What a frame goes through: the inbox as the transport calls it, the client, the jitter buffer, shaping and mapping.</summary>
        sealed class FramePath
        {
            readonly FakeTransport _transport = new FakeTransport { KeepsSent = false };
            readonly FaceClient _client;
            readonly JitterBuffer _buffer = new JitterBuffer(new PlayoutSettings());
            readonly FacePose _pose = new FacePose();
            readonly FaceShaper _shaper = new FaceShaper { Mirror = true };
            readonly FaceValues _shaped = new FaceValues();
            readonly ChannelMap _map = ChannelMap.Bind(AutoMapper.Map(Messages.Names()).Rows, Messages.Names());
            readonly float[] _shapes = new float[ArkitBlendshapes.Count];
            readonly byte[][] _frames;
            readonly byte[] _pong = Messages.Pong(1, 2);
            FaceFrame _frame = new FaceFrame();

            public long Taken => _client.Stats.Frames;
            public PlayoutPhase Phase => _pose.Phase;

            public FramePath(int count)
            {
                _frames = new byte[count][];
                for (var i = 0; i < count; i++)
                {
                    var level = i % 16 / 16f;
                    _frames[i] = Messages.Frame(i, i * FrameNs, i * FrameNs, channels => channels[17] = level);
                }
                _client = new FaceClient(() => _transport, new System.Random(1));
                _client.Start(new ClientOptions(), 0);
                _transport.Listener.OnOpened(_transport);
                _client.Poll(0);
                Deliver(Messages.Hello(), 0);
                _client.Poll(0);
            }

            public void Step(int i)
            {
                var nowNs = i * FrameNs;
                Deliver(_frames[i], nowNs);
                Deliver(_pong, nowNs);
                _client.Poll(nowNs);
                while (_client.TryTakeFrame(ref _frame)) _buffer.Insert(_frame);
                _buffer.Sample(nowNs, _pose);
                _shaper.Apply(_pose.Values, _shaped);
                _map.Apply(_shaped.Channels, _shapes);
            }

            void Deliver(byte[] bytes, long nowNs) => _transport.Listener.OnMessage(_transport, bytes, 0, bytes.Length, nowNs);
        }
    }
}
