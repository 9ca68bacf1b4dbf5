using System;
using NUnit.Framework;

namespace Facewire.Tests
{
    public sealed class JitterBufferTests
    {
        [TestCase(true, 60), TestCase(false, 60), TestCase(true, 72), TestCase(false, 90)]
        public void ThirtyMillisecondsOfJitterAndTwoPercentLossAreNotSeen(bool inOrder, double displayHz)
        {
            for (var seed = 1; seed <= 5; seed++)
            {
                var run = new PlayoutSimulation { InOrder = inOrder, DisplayHz = displayHz, Seed = seed }.Run(60);
                Assert.That(run.JumpRatio, Is.LessThanOrEqualTo(1.5), $"blendshapes, seed {seed}");
                Assert.That(run.TurnRatio, Is.LessThanOrEqualTo(1.5), $"head, seed {seed}");
                Assert.That(run.MeanDelayMs, Is.LessThanOrEqualTo(45), $"seed {seed}");
                Assert.That(run.Phases, Has.None.EqualTo(PlayoutPhase.Holding).And.None.EqualTo(PlayoutPhase.Resting));
            }
        }

        [Test]
        public void ANoisySourceIsNotMadeNoisier()
        {
            var run = new PlayoutSimulation { Noise = 0.1 }.Run(60);
            Assert.That(run.JumpRatio, Is.LessThanOrEqualTo(1.5));
        }

        [Test]
        public void JitterIsTheSpreadOfNearlyAllTransits()
        {
            var random = new Random(3);
            var delay = new DelayEstimator();
            var transits = new long[DelayEstimator.Window];
            for (var i = 0; i < transits.Length; i++) delay.AddTransit(transits[i] = random.Next(1000));
            Array.Sort(transits);
            Assert.That(delay.BaseNs, Is.EqualTo(transits[0]));
            Assert.That(delay.JitterNs, Is.EqualTo(transits[(int)(DelayEstimator.Covered * (transits.Length - 1))] - transits[0]));
        }

        [Test]
        public void ASteadyNetworkCostsLessThanOneFrame()
        {
            var run = new PlayoutSimulation { JitterMs = 0, Loss = 0 }.Run(20);
            Assert.That(run.MeanDelayMs, Is.LessThan(17));
            Assert.That(run.MeanError, Is.LessThan(0.005));
        }

        [Test]
        public void TheDelayFollowsTheNetworkWithinItsLimits()
        {
            var calm = new PlayoutSimulation { JitterMs = 5 }.Run(20);
            var rough = new PlayoutSimulation { JitterMs = 80 }.Run(20);
            var capped = new PlayoutSimulation { JitterMs = 80 };
            capped.Settings.MaxDelayMs = 40;
            var raised = new PlayoutSimulation { JitterMs = 5 };
            raised.Settings.MinDelayMs = 60;
            Assert.That(calm.MeanDelayMs, Is.InRange(5, 25));
            Assert.That(rough.MeanDelayMs, Is.InRange(60, 110));
            Assert.That(capped.Run(20).MeanDelayMs, Is.EqualTo(40).Within(1));
            Assert.That(raised.Run(20).MeanDelayMs, Is.EqualTo(60).Within(1));
        }

        [Test]
        public void ALostServerHoldsEasesToRestAndComesBackWithoutAStep()
        {
            var run = new PlayoutSimulation { SilentFromS = 8, SilentToS = 12, WarmUpS = 5 }.Run(16);
            Assert.That(run.Phases[(int)(8.25 * 60)], Is.EqualTo(PlayoutPhase.Holding));
            Assert.That(run.Phases[(int)(8.8 * 60)], Is.EqualTo(PlayoutPhase.Resting));
            Assert.That(run.Jaw[(int)(11 * 60)], Is.EqualTo(0).Within(1e-3), "at rest");
            Assert.That(run.Phases[(int)(12.5 * 60)], Is.EqualTo(PlayoutPhase.Live));
            Assert.That(run.JumpRatio, Is.LessThanOrEqualTo(1.5), "neither leaving nor coming back is a step");
        }

        [Test]
        public void NothingIsShownBeforeTheFirstFrame()
        {
            var pose = new FacePose();
            new JitterBuffer(new PlayoutSettings()).Sample(0, pose);
            Assert.That(pose.Phase, Is.EqualTo(PlayoutPhase.Empty));
            Assert.That(pose.Values.Channels, Is.All.Zero);
        }

        [Test]
        public void AnotherSessionWithAnotherClockGoesOnFromWhereTheFaceIs()
        {
            var buffer = new JitterBuffer(new PlayoutSettings());
            var pose = new FacePose();
            Play(buffer, pose, 0, 60, 5_000_000_000, 0.8f);
            Assert.That(pose.Values.Channels[17], Is.EqualTo(0.8f).Within(1e-3));
            buffer.Restart();
            Play(buffer, pose, 60, 1, 0, 0.2f);
            Assert.That(pose.Values.Channels[17], Is.EqualTo(0.8f).Within(0.1f), "no step at the first frame");
            Play(buffer, pose, 61, 60, 16_666_667, 0.2f);
            Assert.That(pose.Values.Channels[17], Is.EqualTo(0.2f).Within(0.02f));
            Assert.That(pose.Phase, Is.EqualTo(PlayoutPhase.Live).Or.EqualTo(PlayoutPhase.Predicting));
        }

        [Test]
        public void APlayerThatStoodStillGoesOnWithoutAStep()
        {
            var buffer = new JitterBuffer(new PlayoutSettings());
            var pose = new FacePose();
            Play(buffer, pose, 0, 60, 0, 0.9f);
            // Two seconds later: the frames of meanwhile were dropped but for the newest.
            Play(buffer, pose, 180, 1, 180 * 16_666_667L, 0.1f, 180);
            Assert.That(pose.Values.Channels[17], Is.GreaterThan(0.7f));
            var before = pose.Values.Channels[17];
            for (var tick = 181; tick < 240; tick++)
            {
                Play(buffer, pose, tick, 1, tick * 16_666_667L, 0.1f, tick);
                Assert.That(before - pose.Values.Channels[17], Is.InRange(-0.01f, 0.12f), $"tick {tick}");
                before = pose.Values.Channels[17];
            }
            Assert.That(before, Is.EqualTo(0.1f).Within(0.02f));
        }

        [Test]
        public void FramesThatComeTwiceAreCountedAndChangeNothing()
        {
            var buffer = new JitterBuffer(new PlayoutSettings());
            var frame = new FaceFrame { Seq = 1, CaptureNs = 10, PublishNs = 10, ReceivedNs = 20 };
            buffer.Insert(frame);
            buffer.Insert(frame);
            Assert.That(buffer.Late, Is.EqualTo(1));
        }

        [Test]
        public void HeldFramesKeepTheTimeLineOfTheFramesBefore()
        {
            var buffer = new JitterBuffer(new PlayoutSettings());
            var pose = new FacePose();
            var frame = new FaceFrame();
            for (var i = 0; i < 120; i++)
            {
                var nowNs = i * 16_666_667L;
                var held = i >= 60;
                frame.Seq = i;
                frame.PublishNs = nowNs;
                frame.CaptureNs = held ? 59 * 16_666_667L - 20_000_000 : nowNs - 20_000_000;
                frame.ReceivedNs = nowNs;
                frame.Sources = held ? FaceSources.Held : FaceSources.Video;
                buffer.Insert(frame);
                buffer.Sample(nowNs, pose);
                if (i > 0) Assert.That(pose.Phase, Is.EqualTo(PlayoutPhase.Live).Or.EqualTo(PlayoutPhase.Predicting), $"frame {i}");
            }
            Assert.That(buffer.DelayMs, Is.LessThan(20));
        }

        [Test]
        public void RotationsGoTheShortWayRound()
        {
            var a = new Rotation(0, 0, 0, 1);
            var b = new Rotation(0, -(float)Math.Sin(0.5), 0, -(float)Math.Cos(0.5));
            var half = Rotation.Slerp(a, b, 0.5f);
            Assert.That(a.AngleTo(half), Is.EqualTo(0.5f).Within(1e-5));
            Assert.That(half.AngleTo(b), Is.EqualTo(0.5f).Within(1e-5));
        }

        /// <summary>Plays frames of one jaw value at 60 Hz, arriving at once.</summary>
        static void Play(JitterBuffer buffer, FacePose pose, int firstTick, int count, long serverNs, float jaw, long firstSeq = 0)
        {
            var frame = new FaceFrame();
            for (var i = 0; i < count; i++)
            {
                var nowNs = (firstTick + i) * 16_666_667L;
                frame.Seq = firstSeq + i;
                frame.CaptureNs = frame.PublishNs = serverNs + i * 16_666_667L;
                frame.ReceivedNs = nowNs;
                frame.Sources = FaceSources.Video;
                frame.Values.Channels[17] = jaw;
                buffer.Insert(frame);
                buffer.Sample(nowNs, pose);
            }
        }
    }
}
