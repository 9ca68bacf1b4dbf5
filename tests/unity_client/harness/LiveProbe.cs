using System;
using System.Globalization;
using System.Reflection;
using System.Threading;
using Facewire.Tests;

namespace Facewire.Harness
{
    /// <summary>
    /// Runs the core against a server, as the player loop would, and prints what happens as JSON lines: <c>live ADDRESS SECONDS [TOKEN]</c>.
    /// It ends when its input does, or after so many seconds. Times are CLOCK_MONOTONIC in milliseconds, so that another process on this
    /// machine can compare.
    /// </summary>
    sealed class LiveProbe
    {
        const int WarmUpFrames = 120;
        const int FirstReportFrames = 60;
        const int JawOpen = 17;

        readonly LatencyTap _tap = new LatencyTap();
        readonly FaceClient _client;
        readonly JitterBuffer _buffer = new JitterBuffer(new PlayoutSettings());
        readonly FacePose _pose = new FacePose();
        FaceFrame _frame = new FaceFrame();
        PlayoutPhase _phase;
        string _session = "";
        long _bytesBefore = -1;
        long _framesBefore;
        long _playedBytes;
        long _nextReport = FirstReportFrames;
        long _lastStepNs;
        long _longestPauseNs;
        float _highestJaw;
        volatile bool _ended;

        LiveProbe() => _client = new FaceClient(() => _tap.Around(new WebSocketTransport()), new Random(1));

        public static int Run(string[] arguments)
        {
            var options = new ClientOptions { Address = arguments[0], Token = arguments.Length > 2 ? arguments[2] : "" };
            new LiveProbe().Play(options, double.Parse(arguments[1], CultureInfo.InvariantCulture));
            return 0;
        }

        void Play(ClientOptions options, double seconds)
        {
            _client.StateChanged += state => Say("state", state.ToString());
            _client.ProblemChanged += problem => Say("problem", problem == null ? "" : problem.Kind + ": " + problem.Text);
            _client.HelloReceived += OnHello;
            var endNs = MonotonicClock.NowNs + (long)(seconds * 1e9);
            new Thread(WaitForTheEnd) { IsBackground = true }.Start();
            _client.Start(options, MonotonicClock.NowNs);
            while (!_ended && MonotonicClock.NowNs < endNs)
            {
                Step(MonotonicClock.NowNs);
                Thread.Sleep(4);
            }
            var bytes = TotalBytes() - _bytesBefore;
            var frames = _client.Stats.Frames - _framesBefore;
            var threadsBefore = System.Diagnostics.Process.GetCurrentProcess().Threads.Count;
            var state = _client.State;
            var roundTripMs = _client.Clock.RoundTripNs * 1e-6;
            var closingNs = MonotonicClock.NowNs;
            _client.Dispose();
            var closeMs = (MonotonicClock.NowNs - closingNs) * 1e-6;
            Console.WriteLine("{" + $"\"summary\": true, \"state\": \"{state}\", \"frames\": {_client.Stats.Frames}, \"missed\": {_client.Stats.Missed}, "
                + $"\"malformed\": {_client.Stats.Malformed}, \"overrun\": {_client.Overrun}, {_tap.Report()}, "
                + F($"\"stats_latency_ms\": {_client.Stats.LatencyMs:0.000}, \"rate\": {_client.Stats.Rate:0.00}, ")
                + F($"\"round_trip_ms\": {roundTripMs:0.000}, \"delay_ms\": {_buffer.DelayMs:0.00}, ")
                + F($"\"close_ms\": {closeMs:0.0}, \"longest_pause_ms\": {_longestPauseNs * 1e-6:0.0}, ")
                + F($"\"own_bytes\": {_tap.AllocatedBytes + _playedBytes}, \"bytes_per_frame\": {(double)bytes / Math.Max(1, frames):0.0}, \"highest_jaw\": {_highestJaw:0.000}, \"threads\": {threadsBefore}") + "}");
        }

        void WaitForTheEnd()
        {
            Console.In.ReadToEnd();
            _ended = true;
        }

        void Step(long nowNs)
        {
            if (_lastStepNs > 0) _longestPauseNs = Math.Max(_longestPauseNs, nowNs - _lastStepNs);
            _lastStepNs = nowNs;
            _client.Poll(nowNs);
            var before = Allocated.Bytes();
            while (_client.TryTakeFrame(ref _frame)) _buffer.Insert(_frame);
            _buffer.Sample(nowNs, _pose);
            if (_bytesBefore >= 0) _playedBytes += Allocated.Bytes() - before;
            _highestJaw = Math.Max(_highestJaw, _pose.Values.Channels[JawOpen]);
            if (_bytesBefore < 0 && _client.Stats.Frames >= WarmUpFrames)
            {
                _bytesBefore = TotalBytes();
                _framesBefore = _client.Stats.Frames;
            }
            if (_client.Stats.Frames >= _nextReport) ReportFrames();
            var phase = _pose.Phase == PlayoutPhase.Predicting ? PlayoutPhase.Live : _pose.Phase;
            if (phase == _phase) return;
            _phase = phase;
            Say("phase", phase.ToString());
        }

        /// <summary>Ever more seldom: what it allocates shall not be taken for the client's.</summary>
        void ReportFrames()
        {
            _nextReport *= 2;
            Say("frames", _client.Stats.Frames.ToString(CultureInfo.InvariantCulture));
        }

        void OnHello(HelloMessage hello)
        {
            if (_session.Length > 0 && _session != hello.Session) _buffer.Restart();
            _session = hello.Session;
        }

        void Say(string what, string value) => Console.WriteLine("{" + F($"\"at_ms\": {MonotonicClock.NowNs * 1e-6:0.00}, ")
            + $"\"{what}\": \"{value.Replace("\\", "\\\\").Replace("\"", "\\\"")}\""
            + F($", \"jaw\": {_pose.Values.Channels[JawOpen]:0.0000}, \"highest_jaw\": {_highestJaw:0.0000}") + "}");

        static string F(FormattableString text) => FormattableString.Invariant(text);

        /// <summary>What all threads of the process have allocated; netstandard2.1 has no name for it.</summary>
        static long TotalBytes()
        {
            var method = typeof(GC).GetMethod("GetTotalAllocatedBytes", BindingFlags.Public | BindingFlags.Static);
            return method == null ? 0 : (long)method.Invoke(null, new object[] { true });
        }
    }
}
