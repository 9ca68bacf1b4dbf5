namespace Facewire
{
    /// <summary>What follows the gaze.</summary>
    public enum EyeMode
    {
        /// <summary>The eyeLook shapes.</summary>
        Shapes,

        /// <summary>The eye bones; the eyeLook shapes stay still.</summary>
        Bones,

        /// <summary>Bones turn the eyeballs, shapes move the lids.</summary>
        BonesAndShapes,
    }
}
