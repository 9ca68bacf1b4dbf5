using System;

namespace Facewire
{
    /// <summary>The parts of a frame that a subscriber can ask for.</summary>
    [Flags]
    public enum FaceStreams
    {
        None = 0,
        Blendshapes = 1,
        Head = 2,
        Gaze = 4,
        Landmarks = 8,
        Flame = 16,
        Default = Blendshapes | Head | Gaze,
    }
}
