namespace Facewire
{
    /// <summary>What happened on the connection between two polls.</summary>
    struct ClientEvents
    {
        public bool Opened;
        public bool Closed;
        public CloseCause Cause;
        public string Detail;
        public HelloMessage Hello;
        public StatusMessage Status;
        public ErrorMessage Error;
        public ResultMessage Result;

        /// <summary>Since the connection began.</summary>
        public long LastReceivedNs;

        /// <summary>Since the connection began.</summary>
        public long Malformed;
    }
}
