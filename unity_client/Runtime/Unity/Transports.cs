namespace Facewire
{
    /// <summary>The transport of the platform that the player was built for.</summary>
    static class Transports
    {
        public static ITransport Make()
        {
#if UNITY_WEBGL && !UNITY_EDITOR
            return new WebGlTransport();
#else
            return new WebSocketTransport();
#endif
        }
    }
}
