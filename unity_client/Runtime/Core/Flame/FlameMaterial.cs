namespace Facewire
{
    /// <summary>A run of a FLAME mesh's triangles that look alike.</summary>
    public readonly struct FlameMaterial
    {
        public readonly string Name;
        public readonly int FirstTriangle;
        public readonly int TriangleCount;

        public FlameMaterial(string name, int firstTriangle, int triangleCount)
        {
            Name = name;
            FirstTriangle = firstTriangle;
            TriangleCount = triangleCount;
        }
    }
}
