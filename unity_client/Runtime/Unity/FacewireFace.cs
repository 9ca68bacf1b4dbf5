using System.Collections.Generic;
using UnityEngine;

namespace Facewire
{
    /// <summary>Moves a character by what a FacewireReceiver receives: shapes of its renderers, head, neck and eye bones.</summary>
    [AddComponentMenu("Facewire/Facewire Face")]
    [DefaultExecutionOrder(100)]
    [DisallowMultipleComponent]
    public sealed class FacewireFace : MonoBehaviour
    {
        [Tooltip("Empty = the one on this object or above it, or the only one of the scene.")]
        [SerializeField] FacewireReceiver receiver;

        [Tooltip("Empty = all below this object that have blend shapes.")]
        [SerializeField] List<SkinnedMeshRenderer> renderers = new List<SkinnedMeshRenderer>();

        [Tooltip("Empty = shapes are found by name.")]
        [SerializeField] FacewireMapping mapping;

        [Tooltip("How much of the stream is shown: 0 leaves the character alone.")]
        [SerializeField, Range(0, 1)] float weight = 1;

        [Tooltip("The Animator moves the same shapes and bones: mix with what it has written this frame.")]
        [SerializeField] bool overAnimation;

        [Tooltip("Left and right swapped, as in a mirror.")]
        [SerializeField] bool mirror;

        [SerializeField] EyeMode eyeMode = EyeMode.Shapes;
        [SerializeField] RegionGains gains = new RegionGains();
        [SerializeField] HeadRig rig = new HeadRig();

        readonly FaceShaper _shaper = new FaceShaper();
        readonly FaceValues _shaped = new FaceValues();
        readonly List<ShapeBinding> _bindings = new List<ShapeBinding>();
        readonly List<string> _problems = new List<string>();
        readonly HashSet<string> _told = new HashSet<string>();
        FacewireReceiver _source;
        bool _bound;
        bool _applied;

        /// <summary>What does not work, each in one line; filled by <see cref="Bind"/>.</summary>
        public IReadOnlyList<string> Problems => _problems;

        /// <summary>The one that was set, or that <see cref="Bind"/> has found.</summary>
        public FacewireReceiver Receiver
        {
            get => receiver != null ? receiver : _source;
            set => receiver = _source = value;
        }

        public FacewireMapping Mapping
        {
            get => mapping;
            set => mapping = value;
        }

        public List<SkinnedMeshRenderer> Renderers => renderers;
        public HeadRig Rig => rig;

        public float Weight
        {
            get => weight;
            set => weight = Mathf.Clamp01(value);
        }

        public bool Mirror
        {
            get => mirror;
            set => mirror = value;
        }

        public bool OverAnimation
        {
            get => overAnimation;
            set => overAnimation = value;
        }

        public EyeMode EyeMode
        {
            get => eyeMode;
            set => eyeMode = value;
        }

        /// <summary>The face that was applied last: mirrored and scaled.</summary>
        public FaceValues Shown => _shaped;

        /// <summary>Looks everything up anew; needed after renderers, mapping or bones have changed.</summary>
        public void Bind()
        {
            if (_bound) Restore();
            _problems.Clear();
            _bindings.Clear();
            _source = receiver != null ? receiver : ReceiverSearch.From(this);
            if (_source == null) _problems.Add("No Facewire Receiver: add one to the scene.");
            foreach (var renderer in FoundRenderers()) BindRenderer(renderer);
            rig.Bind();
            if (_bindings.Count == 0 && rig.head == null && rig.neck == null)
                _problems.Add("Nothing to move: no renderer with known blend shapes, and neither head nor neck bone.");
            _bound = true;
            foreach (var problem in _problems)
                if (_told.Add(problem)) Debug.LogWarning("Facewire: " + problem, this);
        }

        /// <summary>Takes the present pose for looking straight ahead.</summary>
        public void Recenter()
        {
            if (_bound) rig.Recenter(_shaped);
        }

        /// <summary>Moves the character to the receiver's present pose. LateUpdate calls it, after the Animator.</summary>
        public void Apply()
        {
            if (!_bound || HasOtherMesh()) Bind();
            if (_source == null || _source.Pose.Phase == PlayoutPhase.Empty)
            {
                if (_applied) Restore();
                return;
            }
            _applied = true;
            Shape(_source.Pose.Values);
            foreach (var binding in _bindings) binding.Apply(_shaped, weight, overAnimation);
            rig.Apply(transform, _shaped, weight, overAnimation, eyeMode != EyeMode.Shapes);
        }

        /// <summary>Leaves shapes and bones as they were found.</summary>
        public void Restore()
        {
            _applied = false;
            foreach (var binding in _bindings) binding.Restore();
            if (_bound) rig.Restore();
        }

        void OnEnable() => _bound = false;

        void OnDisable()
        {
            Restore();
            _bound = false;
        }

        void LateUpdate() => Apply();

        void Shape(FaceValues streamed)
        {
            _shaper.Mirror = mirror;
            gains.CopyTo(_shaper);
            _shaper.Apply(streamed, _shaped);
            if (eyeMode != EyeMode.Bones) return;
            for (var i = 0; i < EyeLook.Length; i++) _shaped.Channels[EyeLook[i]] = 0;
        }

        void BindRenderer(SkinnedMeshRenderer renderer)
        {
            if (renderer == null)
            {
                _problems.Add("A renderer in the list is missing: remove the empty entry.");
                return;
            }
            var binding = ShapeBinding.Make(renderer, mapping == null ? null : mapping.Rows, _problems);
            if (binding != null) _bindings.Add(binding);
        }

        IEnumerable<SkinnedMeshRenderer> FoundRenderers()
        {
            if (renderers.Count > 0) return renderers;
            var found = new List<SkinnedMeshRenderer>(GetComponentsInChildren<SkinnedMeshRenderer>(true));
            // Clothes and hair without shapes are no problem where nobody has asked for them.
            found.RemoveAll(renderer => renderer.sharedMesh == null || renderer.sharedMesh.blendShapeCount == 0);
            return found;
        }

        /// <summary>A character whose mesh was swapped or destroyed is bound anew.</summary>
        bool HasOtherMesh()
        {
            for (var i = 0; i < _bindings.Count; i++)
                if (_bindings[i].Renderer == null || _bindings[i].Renderer.sharedMesh != _bindings[i].Mesh) return true;
            return false;
        }

        static readonly int[] EyeLook = MakeEyeLook();

        static int[] MakeEyeLook()
        {
            var indices = new List<int>();
            for (var i = 0; i < ArkitBlendshapes.Count; i++)
                if (ArkitBlendshapes.Names[i].StartsWith("eyeLook", System.StringComparison.Ordinal)) indices.Add(i);
            return indices.ToArray();
        }
    }
}
