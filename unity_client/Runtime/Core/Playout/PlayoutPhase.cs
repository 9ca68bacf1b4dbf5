namespace Facewire
{
    /// <summary>Where the shown face comes from.</summary>
    public enum PlayoutPhase
    {
        /// <summary>No frame has come yet.</summary>
        Empty,

        /// <summary>Between two frames.</summary>
        Live,

        /// <summary>A little beyond the newest frame.</summary>
        Predicting,

        /// <summary>Frames are missing: the face stands still.</summary>
        Holding,

        /// <summary>Frames stay away: the face is on its way to rest, or there.</summary>
        Resting,
    }
}
