using System;
using UnityEngine;

namespace Facewire.Samples
{
    /// <summary>A live head out of nothing but this package: makes the mesh, gives it colours, and hands it to the FacewireFace beside it.</summary>
    [AddComponentMenu("Facewire/Live Head (sample)")]
    [RequireComponent(typeof(FacewireReceiver), typeof(FacewireFace))]
    public sealed class LiveHead : MonoBehaviour
    {
        [Tooltip("OpenHead.bytes of this sample.")]
        [SerializeField] TextAsset asset;

        [Tooltip("Empty = the lit shader of the render pipeline, as far as it is in the build.")]
        [SerializeField] Shader shader;

        void Awake()
        {
            if (asset == null)
            {
                Debug.LogWarning("Live Head: drag OpenHead.bytes of this sample onto the component.", this);
                return;
            }
            try
            {
                Make(OpenHeadAsset.Read(asset.bytes));
            }
            catch (Exception error) when (error is System.IO.IOException || error is System.IO.InvalidDataException)
            {
                Debug.LogWarning($"Live Head: {asset.name} cannot be read ({error.Message}): import the sample again.", this);
            }
        }

        void Make(OpenHeadAsset head)
        {
            var child = new GameObject("Head");
            child.transform.SetParent(transform, false);
            var skin = child.AddComponent<SkinnedMeshRenderer>();
            skin.sharedMesh = OpenHeadMesh.Make(head);
            skin.sharedMaterials = Materials(head);
            skin.updateWhenOffscreen = true;
            var face = GetComponent<FacewireFace>();
            face.Renderers.Add(skin);
            face.Rig.head = child.transform;
        }

        Material[] Materials(OpenHeadAsset head)
        {
            var names = new string[head.Materials.Count];
            for (var i = 0; i < names.Length; i++) names[i] = head.Materials[i].Name;
            return HeadMaterials.Make(names, shader);
        }
    }
}
