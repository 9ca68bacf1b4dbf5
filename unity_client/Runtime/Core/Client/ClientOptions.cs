namespace Facewire
{
    /// <summary>What a client wants from its server.</summary>
    public sealed class ClientOptions
    {
        public string Address = "ws://127.0.0.1:8787/v1/live";
        public string Token = "";
        public FaceStreams Streams = FaceStreams.Default;

        /// <summary>Frames a second at most; 0 = all.</summary>
        public double MaxRate;

        /// <summary>A server that says nothing for so long (it sends a status every second) is given up.</summary>
        public double StallS = 3;
    }
}
