using System;
using UnityEngine;
using UnityEngine.SceneManagement;

namespace UnityEditor
{
    public sealed class EditorApplication
    {
        public delegate void CallbackFunction();

        public static CallbackFunction update;

        public static event Action<PlayModeStateChange> playModeStateChanged { add { } remove { } }

        public static event Action quitting { add { } remove { } }
    }

    public static class AssemblyReloadEvents
    {
        public delegate void AssemblyReloadCallback();

        public static event AssemblyReloadCallback beforeAssemblyReload { add { } remove { } }
    }

    public sealed class EditorUtility
    {
        public static void SetDirty(UnityEngine.Object target)
        {
        }

        public static string SaveFilePanelInProject(string title, string defaultName, string extension, string message) => "";

        public static bool DisplayDialog(string title, string message, string ok) => true;
    }

    public sealed class AssetDatabase
    {
        public static void CreateAsset(UnityEngine.Object asset, string path)
        {
        }

        public static void SaveAssets()
        {
        }
    }

    public class Undo
    {
        public static void RecordObject(UnityEngine.Object objectToUndo, string name)
        {
        }

        public static void RegisterCreatedObjectUndo(UnityEngine.Object objectToUndo, string name)
        {
        }

        public static T AddComponent<T>(GameObject gameObject) where T : Component => gameObject.AddComponent<T>();
    }

    public sealed class Selection
    {
        public static GameObject activeGameObject { get; set; }
    }
}

namespace UnityEditor.SceneManagement
{
    public sealed class EditorSceneManager
    {
        public delegate void SceneSavingCallback(Scene scene, string path);

        public delegate void SceneClosingCallback(Scene scene, bool removingScene);

        public static event SceneSavingCallback sceneSaving { add { } remove { } }

        public static event SceneClosingCallback sceneClosing { add { } remove { } }
    }
}
