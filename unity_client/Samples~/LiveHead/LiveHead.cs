using System;
using System.Collections.Generic;
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
            var materials = new Material[head.Materials.Count];
            for (var i = 0; i < materials.Length; i++)
            {
                materials[i] = new Material(FindShader()) { name = head.Materials[i].Name };
                materials[i].color = Colours.TryGetValue(head.Materials[i].Name, out var colour) ? colour : Colours["skin"];
            }
            return materials;
        }

        Shader FindShader()
        {
            if (shader != null) return shader;
            foreach (var name in new[] { "Universal Render Pipeline/Lit", "HDRP/Lit", "Standard", "Unlit/Color" })
            {
                var found = Shader.Find(name);
                if (found != null) return shader = found;
            }
            return null;
        }

        static readonly Dictionary<string, Color> Colours = new Dictionary<string, Color>
        {
            ["skin"] = new Color(0.88f, 0.68f, 0.58f),
            ["lips"] = new Color(0.78f, 0.43f, 0.42f),
            ["mouth"] = new Color(0.40f, 0.16f, 0.17f),
            ["teeth"] = new Color(0.94f, 0.92f, 0.87f),
            ["tongue"] = new Color(0.77f, 0.40f, 0.42f),
            ["brows"] = new Color(0.30f, 0.21f, 0.16f),
            ["pupil"] = new Color(0.05f, 0.05f, 0.05f),
            ["iris"] = new Color(0.25f, 0.43f, 0.58f),
            ["sclera"] = new Color(0.94f, 0.94f, 0.94f),
        };
    }
}
