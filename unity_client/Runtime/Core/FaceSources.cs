namespace Facewire
{
    /// <summary>Which inputs drive a frame.</summary>
    public enum FaceSources
    {
        Video,
        Audio,
        Both,

        /// <summary>Input was lost at the server: the face is held or eases to rest.</summary>
        Held,
    }
}
