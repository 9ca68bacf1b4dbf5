using System;
using System.Collections.Generic;

namespace Facewire.Tests
{
    /// <summary>
    /// A source of 60 frames a second behind a network that delays, loses and (if told to) reorders, played by the jitter buffer at the
    /// display's rate; all in simulated time.
    /// </summary>
    sealed class PlayoutSimulation
    {
        public const double SourceHz = 60;
        public const long ClockOffsetNs = 123_456_789_000;

        public double DisplayHz = 60;
        public double JitterMs = 30;
        public double Loss = 0.02;

        /// <summary>Added to the jaw, evenly spread: trackers are never quite still.</summary>
        public double Noise;

        public bool InOrder = true;
        public double SilentFromS = double.MaxValue;
        public double SilentToS = double.MaxValue;
        public int Seed = 1;
        public readonly PlayoutSettings Settings = new PlayoutSettings();

        /// <summary>After so long the buffer has measured the network; figures begin there.</summary>
        public double WarmUpS = 5;

        public double LargestJump;
        public double LargestTurn;
        public double SourceJump;
        public double SourceTurn;
        public double MeanDelayMs;
        public double MeanError;
        public readonly List<PlayoutPhase> Phases = new List<PlayoutPhase>();
        public readonly List<float> Jaw = new List<float>();
        public JitterBuffer Buffer;

        readonly FaceValues _before = new FaceValues();

        readonly struct Packet
        {
            public readonly long ArrivalNs;
            public readonly int Seq;

            public Packet(long arrivalNs, int seq)
            {
                ArrivalNs = arrivalNs;
                Seq = seq;
            }
        }

        public double JumpRatio => LargestJump / SourceJump;
        public double TurnRatio => LargestTurn / SourceTurn;

        public PlayoutSimulation Run(double seconds)
        {
            var random = new Random(Seed);
            var noise = new Random(Seed + 1);
            var packets = Send(seconds, random);
            Buffer = new JitterBuffer(Settings);
            var frame = new FaceFrame();
            var pose = new FacePose();
            var before = new FaceValues();
            var truth = new FaceValues();
            var next = 0;
            var shown = 0;
            for (var tick = 0; tick < seconds * DisplayHz; tick++)
            {
                var nowNs = (long)(tick / DisplayHz * 1e9);
                for (; next < packets.Count && packets[next].ArrivalNs <= nowNs; next++)
                {
                    Fill(frame, packets[next], noise);
                    Buffer.Insert(frame);
                }
                Buffer.Sample(nowNs, pose);
                Phases.Add(pose.Phase);
                Jaw.Add(pose.Values.Channels[17]);
                if (tick / DisplayHz > WarmUpS)
                {
                    shown++;
                    MeanDelayMs += Buffer.DelayMs;
                    Motion(nowNs * 1e-9 - Buffer.DelayMs * 1e-3, truth);
                    MeanError += Math.Abs(truth.Channels[17] - pose.Values.Channels[17]);
                    LargestJump = Math.Max(LargestJump, Jump(before, pose.Values));
                    LargestTurn = Math.Max(LargestTurn, before.Head.AngleTo(pose.Values.Head));
                }
                before.CopyFrom(pose.Values);
            }
            MeanDelayMs /= shown;
            MeanError /= shown;
            MeasureSource(seconds);
            return this;
        }

        List<Packet> Send(double seconds, Random random)
        {
            var packets = new List<Packet>();
            long latest = 0;
            for (var seq = 0; seq < seconds * SourceHz; seq++)
            {
                var sentS = seq / SourceHz;
                var delayMs = JitterMs * random.NextDouble();
                var lost = random.NextDouble() < Loss || (sentS >= SilentFromS && sentS < SilentToS);
                if (lost) continue;
                var arrival = (long)(sentS * 1e9 + delayMs * 1e6);
                latest = InOrder ? Math.Max(latest, arrival) : arrival;
                packets.Add(new Packet(latest, seq));
            }
            packets.Sort((a, b) => a.ArrivalNs != b.ArrivalNs ? a.ArrivalNs.CompareTo(b.ArrivalNs) : a.Seq.CompareTo(b.Seq));
            return packets;
        }

        void Fill(FaceFrame frame, in Packet packet, Random noise)
        {
            var sourceS = packet.Seq / SourceHz;
            Motion(sourceS, frame.Values);
            frame.Values.Channels[17] += (float)(Noise * (noise.NextDouble() - 0.5));
            if (Noise > 0 && packet.Seq == frame.Seq + 1) SourceJump = Math.Max(SourceJump, Jump(_before, frame.Values));
            _before.CopyFrom(frame.Values);
            frame.Seq = packet.Seq;
            frame.CaptureNs = frame.PublishNs = (long)(sourceS * 1e9) + ClockOffsetNs;
            frame.ReceivedNs = packet.ArrivalNs;
            frame.Sources = FaceSources.Video;
        }

        /// <summary>Talking (a jaw at 3 and 5 Hz), blinks of 0.2 s every second, a head that shakes and nods.</summary>
        static void Motion(double seconds, FaceValues values)
        {
            values.SetToRest();
            values.Channels[17] = (float)(0.5 + 0.3 * Math.Sin(2 * Math.PI * 3 * seconds) + 0.15 * Math.Sin(2 * Math.PI * 5 * seconds));
            var blink = (seconds - Math.Floor(seconds)) / 0.2;
            values.Channels[0] = blink < 1 ? (float)Math.Pow(Math.Sin(Math.PI * blink), 2) : 0;
            var yaw = 0.4 * Math.Sin(2 * Math.PI * 0.9 * seconds);
            var pitch = 0.2 * Math.Sin(2 * Math.PI * 1.3 * seconds);
            values.Head = new Rotation(0, (float)Math.Sin(yaw / 2), 0, (float)Math.Cos(yaw / 2))
                * new Rotation((float)Math.Sin(pitch / 2), 0, 0, (float)Math.Cos(pitch / 2));
        }

        void MeasureSource(double seconds)
        {
            var a = new FaceValues();
            var b = new FaceValues();
            for (var i = 0; i < seconds * 600; i++)
            {
                Motion(i / 600.0, a);
                Motion(i / 600.0 + 1 / DisplayHz, b);
                SourceJump = Math.Max(SourceJump, Jump(a, b));
                SourceTurn = Math.Max(SourceTurn, a.Head.AngleTo(b.Head));
            }
        }

        static double Jump(FaceValues a, FaceValues b)
        {
            var largest = 0.0;
            for (var i = 0; i < ArkitBlendshapes.Count; i++) largest = Math.Max(largest, Math.Abs(a.Channels[i] - b.Channels[i]));
            return largest;
        }
    }
}
