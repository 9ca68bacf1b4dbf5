using System;

namespace Facewire
{
    /// <summary>
    /// Keeps a connection to a Facewire server: connects, subscribes, pings, and connects again when it is lost. All of it happens
    /// in <see cref="Poll"/>, called once per rendered frame with the time as an argument; only decoding runs where the transport receives.
    /// </summary>
    public sealed class FaceClient : IDisposable
    {
        const double HelloWaitS = 5;
        const double SteadyS = 1;
        const double PingEveryS = 1;
        const double FirstPingEveryS = 0.05;
        const int FirstPings = 5;

        readonly Func<ITransport> _makeTransport;
        readonly ClockEstimator _clock = new ClockEstimator();
        readonly ClientInbox _inbox;
        readonly Backoff _backoff;
        readonly MsgpackWriter _writer = new MsgpackWriter();
        ClientOptions _options = new ClientOptions();
        ITransport _transport;
        Endpoint _endpoint;
        long _sinceNs;
        long _retryAtNs;
        long _nextPingNs;
        int _pings;
        long _malformedBefore;
        long _lastCommandId;
        string _toldKind;

        public FaceClient(Func<ITransport> makeTransport, Random random)
        {
            _makeTransport = makeTransport;
            _inbox = new ClientInbox(_clock);
            _backoff = new Backoff(random);
        }

        public ClientState State { get; private set; }

        /// <summary>What is wrong now, or null.</summary>
        public ClientProblem Problem { get; private set; }

        public ClockEstimator Clock => _clock;
        public ClientStats Stats { get; } = new ClientStats();

        /// <summary>Frames that came faster than the player loop took them.</summary>
        public long Overrun => _inbox.Frames.Dropped;

        /// <summary>Of the current or the last connection; null before the first.</summary>
        public HelloMessage Hello { get; private set; }

        /// <summary>The newest report; null before the first.</summary>
        public StatusMessage Status { get; private set; }

        public event Action<ClientState> StateChanged;

        /// <summary>A new problem, told once; null when it is over.</summary>
        public event Action<ClientProblem> ProblemChanged;

        public event Action<HelloMessage> HelloReceived;
        public event Action<StatusMessage> StatusReceived;
        public event Action<ResultMessage> ResultReceived;

        public void Start(ClientOptions options, long nowNs)
        {
            Stop();
            _options = options;
            _toldKind = null;
            _backoff.Reset();
            if (Endpoint.TryParse(options.Address, options.Token, out _endpoint, out var problem)) Connect(nowNs);
            else Fail(new ClientProblem("address", problem));
        }

        /// <summary>Closes the connection; nothing of it is left when this returns.</summary>
        public void Stop()
        {
            Disconnect();
            Report(null);
            Enter(ClientState.Stopped);
        }

        public void Dispose() => Stop();

        /// <summary>Moves everything on; never waits and lets no exception of the connection out.</summary>
        public void Poll(long nowNs)
        {
            if (State == ClientState.Waiting && nowNs >= _retryAtNs) Connect(nowNs);
            if (_transport == null) return;
            var transport = _transport;
            transport.Poll();
            var events = _inbox.Take();
            if (events.Opened) OnOpened(nowNs);
            if (events.Malformed > _malformedBefore) OnMalformed(events.Malformed);
            if (events.Hello != null) OnHello(events.Hello, nowNs);
            if (events.Error != null) Report(new ClientProblem("error " + events.Error.Code, $"The server says: {events.Error.Message}"));
            if (events.Status != null) StatusReceived?.Invoke(Status = events.Status);
            if (events.Result != null) ResultReceived?.Invoke(events.Result);
            Stats.Tick(nowNs);
            // A handler of these events may have closed the connection, or made another.
            if (_transport != transport) return;
            if (events.Closed) OnClosed(events.Cause, events.Detail, nowNs);
            else Watch(Math.Max(events.LastReceivedNs, _sinceNs), nowNs);
        }

        /// <summary>Takes the oldest frame that waits, in exchange for <paramref name="frame"/>.</summary>
        public bool TryTakeFrame(ref FaceFrame frame)
        {
            if (!_inbox.Frames.TryTake(ref frame)) return false;
            Stats.Count(frame, _clock, _options.MaxRate > 0);
            return true;
        }

        /// <summary>Asks for these streams from now on, over reconnections too.</summary>
        public void Subscribe(FaceStreams streams)
        {
            _options.Streams = streams;
            if (State != ClientState.Live) return;
            MessageWriter.WriteSubscribe(_writer, _options.Streams, _options.MaxRate);
            _transport.Send(_writer.Buffer, _writer.Count);
        }

        /// <summary>Sends a command; its result carries the returned number. -1 where there is no connection.</summary>
        public long SendCommand(string name, CommandArguments arguments = null)
        {
            if (State != ClientState.Live) return -1;
            MessageWriter.WriteCommand(_writer, ++_lastCommandId, name, arguments);
            return _transport.Send(_writer.Buffer, _writer.Count) ? _lastCommandId : -1;
        }

        void Connect(long nowNs)
        {
            Disconnect();
            _sinceNs = nowNs;
            _pings = 0;
            _nextPingNs = nowNs;
            _malformedBefore = 0;
            _transport = _makeTransport();
            _inbox.Listen(_transport);
            Stats.BeginConnection(nowNs);
            Enter(ClientState.Connecting);
            _transport.Open(_endpoint, _inbox);
        }

        void Disconnect()
        {
            _inbox.Listen(null);
            _transport?.Dispose();
            _transport = null;
        }

        void OnOpened(long nowNs)
        {
            _sinceNs = nowNs;
            Enter(ClientState.Greeting);
        }

        void OnHello(HelloMessage hello, long nowNs)
        {
            Hello = hello;
            if (hello.Protocol != HelloMessage.SupportedProtocol)
            {
                Fail(new ClientProblem("protocol", $"{_endpoint.Display} speaks protocol {hello.Protocol}, this client {HelloMessage.SupportedProtocol}: "
                    + "update the older of the two."));
                return;
            }
            MessageWriter.WriteSubscribe(_writer, _options.Streams, _options.MaxRate);
            _transport.Send(_writer.Buffer, _writer.Count);
            _sinceNs = nowNs;
            Report(null);
            Enter(ClientState.Live);
            HelloReceived?.Invoke(hello);
        }

        void OnMalformed(long malformed)
        {
            Stats.Malformed += malformed - _malformedBefore;
            _malformedBefore = malformed;
            Report(new ClientProblem("malformed", $"{_endpoint.Display} sent a message that is not understood: it was skipped."));
        }

        void OnClosed(CloseCause cause, string detail, long nowNs)
        {
            var problem = ClientProblem.FromClose(cause, detail, _endpoint.Display);
            if (IsFinal(cause)) Fail(problem);
            else Retry(problem, nowNs);
        }

        void Watch(long lastHeardNs, long nowNs)
        {
            if (State == ClientState.Greeting && Passed(_sinceNs, nowNs, HelloWaitS))
                Retry(new ClientProblem("no hello", $"{_endpoint.Display} answers, but does not greet as a Facewire server; trying again."), nowNs);
            if (State != ClientState.Live) return;
            if (Passed(_sinceNs, nowNs, SteadyS)) SettleDown();
            if (Passed(lastHeardNs, nowNs, _options.StallS))
                Retry(new ClientProblem("stalled", $"{_endpoint.Display} has gone silent; connecting again."), nowNs);
            else if (nowNs >= _nextPingNs) Ping(nowNs);
        }

        void Ping(long nowNs)
        {
            _nextPingNs = nowNs + (long)((++_pings < FirstPings ? FirstPingEveryS : PingEveryS) * 1e9);
            MessageWriter.WritePing(_writer, Math.Max(0, nowNs));
            _transport.Send(_writer.Buffer, _writer.Count);
        }

        void Retry(ClientProblem problem, long nowNs)
        {
            Disconnect();
            _retryAtNs = nowNs + _backoff.NextNs();
            Report(problem);
            Enter(ClientState.Waiting);
        }

        void Fail(ClientProblem problem)
        {
            Disconnect();
            Report(problem);
            Enter(ClientState.Failed);
        }

        void Report(ClientProblem problem)
        {
            if (Problem?.Kind == problem?.Kind) return;
            Problem = problem;
            if (problem != null && problem.Kind == _toldKind) return;
            if (problem != null) _toldKind = problem.Kind;
            ProblemChanged?.Invoke(problem);
        }

        /// <summary>Only a connection that lasts makes the next trouble a new one: a server that greets and closes is not told each time.</summary>
        void SettleDown()
        {
            _backoff.Reset();
            if (Problem == null) _toldKind = null;
        }

        void Enter(ClientState state)
        {
            if (State == state) return;
            State = state;
            StateChanged?.Invoke(state);
        }

        /// <summary>Which refusals trying again would not change (wire.md, 1).</summary>
        static bool IsFinal(CloseCause cause) =>
            cause == CloseCause.Unauthorized || cause == CloseCause.Forbidden || cause == CloseCause.NotFacewire;

        static bool Passed(long sinceNs, long nowNs, double seconds) => nowNs - sinceNs > (long)(seconds * 1e9);
    }
}
