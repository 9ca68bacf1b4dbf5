using System;
using System.Collections.Generic;
using System.IO;
using UnityEngine;

namespace Facewire
{
    /// <summary>
    /// Shows a FLAME head that moves by the FLAME parameters that a FacewireReceiver receives. The head is a .flame.bytes file, which
    /// <c>facewire flame unity</c> makes of your own FLAME or of the open head.
    /// </summary>
    [AddComponentMenu("Facewire/Facewire Flame")]
    [DefaultExecutionOrder(100)]
    [DisallowMultipleComponent]
    [RequireComponent(typeof(MeshFilter), typeof(MeshRenderer))]
    public sealed class FacewireFlame : MonoBehaviour
    {
        [Tooltip("Empty = the one on this object or above it, or the only one of the scene.")]
        [SerializeField] FacewireReceiver receiver;

        [Tooltip("A .flame.bytes file, as facewire flame unity writes it.")]
        [SerializeField] TextAsset head;

        [Tooltip("How much of the stream is shown: 0 is the head at rest.")]
        [SerializeField, Range(0, 1)] float weight = 1;

        [Tooltip("This object turns as the head does.")]
        [SerializeField] bool turnWithHead = true;

        [Tooltip("Light follows the moving surface; off saves a part of the time.")]
        [SerializeField] bool recalculateNormals = true;

        readonly List<string> _problems = new List<string>();
        readonly HashSet<string> _told = new HashSet<string>();
        FacewireReceiver _source;
        TextAsset _read;
        FlameMesh _mesh;
        FlameSurface _surface;
        Mesh _before;
        Quaternion _turnBefore = Quaternion.identity;
        HelloMessage _checked;
        bool _bound;
        bool _applied;

        /// <summary>What does not work or does not fit, each in one line.</summary>
        public IReadOnlyList<string> Problems => _problems;

        /// <summary>One line about the head and the stream, for people.</summary>
        public string Status
        {
            get
            {
                if (_mesh == null) return "no head";
                var streamed = _source == null || _source.Pose.Values.Flame == null ? 0 : _source.Pose.Values.Flame.ExpressionCount;
                var shown = streamed == 0 ? "no FLAME has come yet" : $"{Math.Min(streamed, _mesh.ExpressionCount)} of {streamed} streamed coefficients";
                return $"{_mesh.Name}: {_mesh.VertexCount} vertices, {_mesh.ExpressionCount} expressions; {shown}";
            }
        }

        /// <summary>The one that was set, or that <see cref="Bind"/> has found.</summary>
        public FacewireReceiver Receiver
        {
            get => receiver != null ? receiver : _source;
            set => receiver = _source = value;
        }

        /// <summary>The head's file; another one is read before the next frame.</summary>
        public TextAsset Head
        {
            get => head;
            set => head = value;
        }

        /// <summary>What the renderer's materials are for, in their order; empty without a head.</summary>
        public IReadOnlyList<FlameMaterial> Materials => _mesh == null ? Array.Empty<FlameMaterial>() : _mesh.Materials;

        public float Weight
        {
            get => weight;
            set => weight = Mathf.Clamp01(value);
        }

        public bool TurnWithHead
        {
            get => turnWithHead;
            set => turnWithHead = value;
        }

        public bool RecalculateNormals
        {
            get => recalculateNormals;
            set => recalculateNormals = value;
        }

        /// <summary>Reads the head and looks the receiver up anew.</summary>
        public void Bind()
        {
            Restore();
            _bound = true;
            _problems.Clear();
            _checked = null;
            _source = receiver != null ? receiver : ReceiverSearch.From(this);
            if (_source == null) _problems.Add("No Facewire Receiver: add one to the scene.");
            else _source.Ask(FaceStreams.Flame);
            ReadHead();
            if (_mesh != null) Place();
            Tell();
        }

        /// <summary>Moves the head to the receiver's present pose. LateUpdate calls it.</summary>
        public void Apply()
        {
            if (!_bound || head != _read || (receiver != null && receiver != _source)) Bind();
            if (_surface == null || _source == null) return;
            Check(_source.Hello);
            var pose = _source.Pose;
            if (pose.Phase == PlayoutPhase.Empty || pose.Values.Flame == null)
            {
                if (_applied) Rest();
                return;
            }
            _applied = true;
            _surface.Show(pose.Values.Flame, weight, recalculateNormals);
            if (turnWithHead) transform.localRotation = _turnBefore * Quaternion.Slerp(Quaternion.identity, UnitySpace.Turn(pose.Values.Head), weight);
        }

        /// <summary>Leaves the object as it was found.</summary>
        public void Restore()
        {
            if (_surface != null)
            {
                Rest();
                var filter = GetComponent<MeshFilter>();
                if (filter != null) filter.sharedMesh = _before;
                Discard(_surface.Mesh);
            }
            _surface = null;
            _mesh = null;
            _bound = false;
        }

        void OnEnable() => _bound = false;

        void OnDisable() => Restore();

        void LateUpdate() => Apply();

        void Rest()
        {
            _applied = false;
            _surface.Show(AtRest, 0, recalculateNormals);
            if (turnWithHead) transform.localRotation = _turnBefore;
        }

        void ReadHead()
        {
            _read = head;
            if (head == null)
            {
                _problems.Add("No head: drag a .flame.bytes file onto Head; facewire flame unity writes one.");
                return;
            }
            try
            {
                _mesh = FlameMesh.Read(head.bytes);
            }
            catch (Exception error) when (error is IOException || error is InvalidDataException)
            {
                _problems.Add($"{head.name} cannot be read ({error.Message}): write it again with facewire flame unity.");
            }
        }

        void Place()
        {
            var filter = GetComponent<MeshFilter>();
            _before = filter.sharedMesh;
            _turnBefore = transform.localRotation;
            _surface = new FlameSurface(_mesh);
            filter.sharedMesh = _surface.Mesh;
        }

        /// <summary>Says, once for each connection, where the server's FLAME and this head do not fit.</summary>
        void Check(HelloMessage hello)
        {
            if (hello == null || hello == _checked) return;
            _checked = hello;
            _problems.Clear();
            if (Array.IndexOf(hello.Streams, "flame") < 0)
                _problems.Add("The server streams no FLAME: start it with --flame.");
            else if (hello.FlameDigest.Length > 0 ? hello.FlameDigest != _mesh.Digest : hello.FlameModel.Length > 0 && hello.FlameModel != _mesh.Name)
                _problems.Add($"The server streams FLAME for '{hello.FlameModel}' and this head is of another model, '{_mesh.Name}': write it from the same file.");
            else if (hello.FlameExpressions > _mesh.ExpressionCount)
                _problems.Add($"The server streams {hello.FlameExpressions} expression coefficients and this head has {_mesh.ExpressionCount}: the others are left out.");
            Tell();
        }

        void Tell()
        {
            foreach (var problem in _problems)
                if (_told.Add(problem)) Debug.LogWarning("Facewire: " + problem, this);
        }

        static void Discard(Mesh mesh)
        {
            if (Application.isPlaying) Destroy(mesh);
            else DestroyImmediate(mesh);
        }

        static readonly FlameValues AtRest = new FlameValues();
    }
}
