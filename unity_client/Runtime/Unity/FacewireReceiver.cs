using System;
using UnityEngine;

namespace Facewire
{
    /// <summary>
    /// Receives the live face of a Facewire server. Put it on any object, point FacewireFace components at it. The connection runs away
    /// from the player loop; here frames are only taken from a slot and played evenly.
    /// </summary>
    [AddComponentMenu("Facewire/Facewire Receiver")]
    [DefaultExecutionOrder(-100)]
    [DisallowMultipleComponent]
    public sealed class FacewireReceiver : MonoBehaviour
    {
        [Tooltip("Host, host:port or a whole ws:// or wss:// address of facewire serve.")]
        [SerializeField] string address = "ws://127.0.0.1:8787/v1/live";

        [Tooltip("Only for servers beyond this machine: facewire serve prints it.")]
        [SerializeField] string token = "";

        [Tooltip("Frames a second at most; 0 = all.")]
        [SerializeField] float maxRate;

        [Tooltip("Also receive the 478 landmarks, for scripts that want them.")]
        [SerializeField] bool landmarks;

        [Tooltip("Also receive FLAME parameters, for scripts that want them; a Facewire Flame asks for them by itself.")]
        [SerializeField] bool flame;

        [Tooltip("The face is shown at least this much late, in milliseconds. The rest is measured.")]
        [SerializeField] float minDelayMs;

        [Tooltip("The face is never shown more than this late, in milliseconds, however uneven the network is.")]
        [SerializeField] float maxDelayMs = 250;

        readonly PlayoutSettings _playout = new PlayoutSettings();
        readonly FacePose _pose = new FacePose();
        FaceClient _client;
        JitterBuffer _buffer;
        FaceFrame _frame;
        FaceStreams _asked;
        string _session;
        bool _failed;

        /// <summary>The face as it is to be shown in this rendered frame; written over in LateUpdate, before other components'.</summary>
        public FacePose Pose => _pose;

        public ClientState State => _client == null ? ClientState.Stopped : _client.State;

        /// <summary>One line about what is wrong, or empty.</summary>
        public string Problem => _client?.Problem == null ? "" : _client.Problem.Text;

        /// <summary>Null before the first connection.</summary>
        public ClientStats Stats => _client?.Stats;

        /// <summary>The server's own report; null before the first.</summary>
        public StatusMessage ServerStatus => _client?.Status;

        public HelloMessage Hello => _client?.Hello;

        /// <summary>What playing evenly costs, measured.</summary>
        public double DelayMs => _buffer == null ? 0 : _buffer.DelayMs;

        public double JitterMs => _buffer == null ? 0 : _buffer.JitterMs;

        public bool IsRunning => _client != null && _client.State != ClientState.Stopped;

        public string Address
        {
            get => address;
            set => address = value;
        }

        public string Token
        {
            get => token;
            set => token = value;
        }

        /// <summary>Every frame as it came, uneven, before it is played; the object is written over, copy what is to be kept.</summary>
        public event Action<FaceFrame> FrameReceived;

        public event Action<ClientState> StateChanged;

        /// <summary>The result of a command.</summary>
        public event Action<ResultMessage> ResultReceived;

        /// <summary>Connects with the present settings; a connection that is there is closed first.</summary>
        public void Connect()
        {
            Prepare();
            _failed = false;
            var options = new ClientOptions { Address = address, Token = token, MaxRate = maxRate, Streams = Streams() };
            _client.Start(options, MonotonicClock.NowNs);
        }

        /// <summary>Receives these parts too from now on, beside what is set; asking again changes nothing.</summary>
        public void Ask(FaceStreams streams)
        {
            if ((_asked | streams) == _asked) return;
            _asked |= streams;
            _client?.Subscribe(Streams());
        }

        /// <summary>Closes the connection; no thread and no socket of it is left.</summary>
        public void Disconnect() => _client?.Stop();

        /// <summary>Sends a command such as calibrate; -1 where there is no connection, else the number that the result brings back.</summary>
        public long SendCommand(string name, CommandArguments arguments = null) => _client == null ? -1 : _client.SendCommand(name, arguments);

        /// <summary>Moves everything on. Update calls it; the editor's preview does so without play mode.</summary>
        public void Tick(long nowNs)
        {
            if (_client == null || _failed) return;
            try
            {
                _client.Poll(nowNs);
                TakeFrames();
            }
            catch (Exception error)
            {
                // Nothing of ours may stop the game, nor fill its log each frame: say it once and stop receiving.
                _failed = true;
                Debug.LogException(error, this);
                Disconnect();
            }
        }

        /// <summary>Writes <see cref="Pose"/> for this moment.</summary>
        public void Sample(long nowNs)
        {
            _playout.MinDelayMs = minDelayMs;
            _playout.MaxDelayMs = maxDelayMs;
            _buffer?.Sample(nowNs, _pose);
        }

        void OnEnable()
        {
            if (GetComponents<FacewireReceiver>().Length > 1)
                Debug.LogWarning("Facewire: two receivers on one object; remove one of them.", this);
            if (Application.isPlaying) Connect();
        }

        void OnDisable()
        {
            Disconnect();
            // A receiver that is off shows nothing: faces go back to what they were, and do not freeze.
            _pose.Phase = PlayoutPhase.Empty;
        }

        void OnDestroy() => Disconnect();

        void OnApplicationQuit() => Disconnect();

        /// <summary>Phones stop the app without asking: leave properly and come back anew.</summary>
        void OnApplicationPause(bool paused)
        {
            if (!Application.isPlaying || !isActiveAndEnabled || Application.isEditor) return;
            if (paused) Disconnect();
            else if (!IsRunning) Connect();
        }

        void Update() => Tick(MonotonicClock.NowNs);

        void LateUpdate() => Sample(MonotonicClock.NowNs);

        FaceStreams Streams()
        {
            var streams = FaceStreams.Default | _asked;
            if (landmarks) streams |= FaceStreams.Landmarks;
            return flame ? streams | FaceStreams.Flame : streams;
        }

        void Prepare()
        {
            if (_client != null) return;
            _frame = new FaceFrame();
            _buffer = new JitterBuffer(_playout);
            _client = new FaceClient(Transports.Make, new System.Random());
            _client.StateChanged += state => Raise(StateChanged, state);
            _client.ResultReceived += OnResult;
            _client.ProblemChanged += OnProblem;
            _client.HelloReceived += OnHello;
        }

        void TakeFrames()
        {
            while (_client.TryTakeFrame(ref _frame))
            {
                _buffer.Insert(_frame);
                FrameReceived?.Invoke(_frame);
            }
        }

        void OnHello(HelloMessage hello)
        {
            if (_session != null && _session != hello.Session) _buffer.Restart();
            _session = hello.Session;
        }

        void OnResult(ResultMessage result)
        {
            if (!result.Ok) Debug.LogWarning("Facewire: the server could not do that: " + result.Error, this);
            Raise(ResultReceived, result);
        }

        /// <summary>A handler of the game that throws is told, and ends neither the player loop's turn nor what we are about.</summary>
        void Raise<T>(Action<T> handlers, T what)
        {
            try
            {
                handlers?.Invoke(what);
            }
            catch (Exception error)
            {
                Debug.LogException(error, this);
            }
        }

        void OnProblem(ClientProblem problem)
        {
            if (problem != null) Debug.LogWarning("Facewire: " + problem.Text, this);
        }
    }
}
