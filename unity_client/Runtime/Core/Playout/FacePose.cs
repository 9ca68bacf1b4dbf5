namespace Facewire
{
    /// <summary>The face as it is to be shown now. Made once and written over.</summary>
    public sealed class FacePose
    {
        public readonly FaceValues Values = new FaceValues();
        public PlayoutPhase Phase;
        public FaceSources Sources = FaceSources.Held;
        public float Confidence;
    }
}
