namespace Facewire
{
    /// <summary>Parts of the face that are turned up and down together.</summary>
    public enum FaceRegion
    {
        Eyes,
        Brows,
        Jaw,
        Mouth,
        CheeksAndNose,
        Tongue,
    }
}
