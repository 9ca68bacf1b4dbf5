using UnityEngine;

namespace Facewire.Samples
{
    /// <summary>Gives the FLAME head of the FacewireFlame beside it its colours.</summary>
    [AddComponentMenu("Facewire/Live FLAME (sample)")]
    [RequireComponent(typeof(FacewireFlame))]
    public sealed class LiveFlame : MonoBehaviour
    {
        [Tooltip("Empty = the lit shader of the render pipeline, as far as it is in the build.")]
        [SerializeField] Shader shader;

        void Start()
        {
            var flame = GetComponent<FacewireFlame>();
            flame.Bind();
            var names = new string[flame.Materials.Count];
            for (var i = 0; i < names.Length; i++) names[i] = flame.Materials[i].Name;
            GetComponent<MeshRenderer>().sharedMaterials = HeadMaterials.Make(names, shader);
        }
    }
}
