#if UNITY_WEBGL && !UNITY_EDITOR
using System;
using System.Runtime.InteropServices;

namespace Facewire
{
    /// <summary>
    /// The browser's own websocket, by Plugins/WebGL/FacewireSocket.jslib. There are no threads: messages wait in the page until
    /// <see cref="Poll"/> copies them into one buffer that is kept.
    /// </summary>
    sealed class WebGlTransport : ITransport
    {
        const int MaxMessageBytes = 1 << 20;

        // What FacewireSocketState returns.
        const int Opened = 1;
        const int Closed = 2;

        byte[] _buffer = new byte[16 << 10];
        ITransportListener _listener;
        int _socket;
        bool _opened;

        public void Open(Endpoint endpoint, ITransportListener listener)
        {
            _listener = listener;
            _socket = FacewireSocketOpen(endpoint.Address.AbsoluteUri, Endpoint.Subprotocol, MaxMessageBytes);
        }

        public bool Send(byte[] buffer, int count) => _opened && FacewireSocketSend(_socket, buffer, count) != 0;

        public void Poll()
        {
            var state = FacewireSocketState(_socket);
            if (state >= Opened && !_opened && FacewireSocketWasOpen(_socket) != 0)
            {
                _opened = true;
                _listener?.OnOpened(this);
            }
            Deliver();
            if (state == Closed) Close();
        }

        public void Dispose()
        {
            _listener = null;
            FacewireSocketClose(_socket);
        }

        void Deliver()
        {
            int size;
            while (_listener != null && (size = FacewireSocketNextSize(_socket)) > 0)
            {
                if (size > _buffer.Length) Array.Resize(ref _buffer, size);
                FacewireSocketTake(_socket, _buffer);
                _listener.OnMessage(this, _buffer, 0, size, MonotonicClock.NowNs);
            }
        }

        void Close()
        {
            var listener = _listener;
            _listener = null;
            var code = FacewireSocketCloseCode(_socket);
            listener?.OnClosed(this, CauseOf(code), DetailOf(code));
        }

        CloseCause CauseOf(int code)
        {
            if (code == 1009) return CloseCause.TooLarge;
            if (!_opened) return CloseCause.Unreachable;
            return code == 1006 ? CloseCause.Lost : CloseCause.ClosedByServer;
        }

        /// <summary>A browser hides why a connection was refused, so that pages cannot scan networks.</summary>
        string DetailOf(int code) => _opened ? "code " + code : "the browser does not say why: wrong address, token or page origin";

        [DllImport("__Internal")]
        static extern int FacewireSocketOpen(string address, string protocol, int maxBytes);

        [DllImport("__Internal")]
        static extern int FacewireSocketState(int socket);

        [DllImport("__Internal")]
        static extern int FacewireSocketWasOpen(int socket);

        [DllImport("__Internal")]
        static extern int FacewireSocketSend(int socket, byte[] bytes, int count);

        [DllImport("__Internal")]
        static extern int FacewireSocketNextSize(int socket);

        [DllImport("__Internal")]
        static extern void FacewireSocketTake(int socket, byte[] into);

        [DllImport("__Internal")]
        static extern int FacewireSocketCloseCode(int socket);

        [DllImport("__Internal")]
        static extern void FacewireSocketClose(int socket);
    }
}
#endif
