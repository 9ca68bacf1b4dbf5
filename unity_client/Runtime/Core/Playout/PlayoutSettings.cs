namespace Facewire
{
    /// <summary>How frames that come unevenly are played evenly.</summary>
    public sealed class PlayoutSettings
    {
        /// <summary>The delay never falls below this, in milliseconds.</summary>
        public double MinDelayMs;

        /// <summary>The delay never rises above this, however uneven the network is.</summary>
        public double MaxDelayMs = 250;

        /// <summary>Beyond the newest frame the motion goes on, slowing down, for so long; 0 = not at all.</summary>
        public double PredictMs = 50;

        /// <summary>Without frames the face is held until so long after the newest one.</summary>
        public double HoldMs = 300;

        /// <summary>Then it eases to rest in this time.</summary>
        public double RestMs = 800;
    }
}
