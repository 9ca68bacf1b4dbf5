using System.Collections.Generic;
using UnityEditor;
using UnityEditor.SceneManagement;
using UnityEngine;
using UnityEngine.SceneManagement;

namespace Facewire.Editor
{
    /// <summary>
    /// Shows the live face in the scene view without play mode. It ends, and leaves every shape and bone as it found it, before
    /// anything that would keep them: play mode, saving, reloading of scripts, another scene.
    /// </summary>
    [InitializeOnLoad]
    static class FacewirePreview
    {
        static FacewireReceiver _receiver;
        static readonly List<FacewireFace> Faces = new List<FacewireFace>();
        static readonly List<FacewireFlame> Flames = new List<FacewireFlame>();

        static FacewirePreview()
        {
            AssemblyReloadEvents.beforeAssemblyReload += End;
            EditorApplication.playModeStateChanged += _ => End();
            EditorApplication.quitting += End;
            EditorSceneManager.sceneSaving += (scene, path) => End();
            EditorSceneManager.sceneClosing += (scene, removing) => End();
        }

        public static bool IsOn(FacewireReceiver receiver) => receiver != null && _receiver == receiver;

        public static void Begin(FacewireReceiver receiver)
        {
            End();
            _receiver = receiver;
            foreach (var root in SceneManager.GetActiveScene().GetRootGameObjects())
            {
                foreach (var face in root.GetComponentsInChildren<FacewireFace>()) Add(face);
                foreach (var flame in root.GetComponentsInChildren<FacewireFlame>()) Add(flame);
            }
            receiver.Connect();
            EditorApplication.update += Tick;
        }

        public static void End()
        {
            EditorApplication.update -= Tick;
            foreach (var face in Faces)
                if (face != null) face.Restore();
            Faces.Clear();
            foreach (var flame in Flames)
                if (flame != null) flame.Restore();
            Flames.Clear();
            // One that was deleted meanwhile too: it equals null, and nobody else closes its connection outside play mode.
            if (!(_receiver is null)) _receiver.Disconnect();
            _receiver = null;
        }

        static void Add(FacewireFace face)
        {
            face.Bind();
            if (face.Receiver == _receiver) Faces.Add(face);
        }

        static void Add(FacewireFlame flame)
        {
            flame.Bind();
            if (flame.Receiver == _receiver) Flames.Add(flame);
            else flame.Restore();
        }

        static void Tick()
        {
            if (_receiver == null)
            {
                End();
                return;
            }
            var nowNs = MonotonicClock.NowNs;
            _receiver.Tick(nowNs);
            _receiver.Sample(nowNs);
            foreach (var face in Faces)
                if (face != null) face.Apply();
            foreach (var flame in Flames)
                if (flame != null) flame.Apply();
            SceneView.RepaintAll();
        }
    }
}
