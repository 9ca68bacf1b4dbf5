using System;
using System.Collections.Generic;

namespace UnityEngine
{
    public class Object
    {
        public string name { get; set; } = "";
        public HideFlags hideFlags { get; set; }

        /// <summary>For the tests: what was destroyed.</summary>
        internal static readonly List<Object> Destroyed = new List<Object>();

        bool _isGone;

        public static void Destroy(Object obj) => Destroyed.Add(obj);

        public static void DestroyImmediate(Object obj)
        {
            Destroyed.Add(obj);
            obj._isGone = true;
        }

        public static T FindObjectOfType<T>() where T : Object => null;

        public static T FindAnyObjectByType<T>() where T : Object => null;

        /// <summary>As in Unity: what is destroyed equals null, though C# still holds it.</summary>
        public static bool operator ==(Object x, Object y) => IsNone(x) || IsNone(y) ? IsNone(x) && IsNone(y) : ReferenceEquals(x, y);

        public static bool operator !=(Object x, Object y) => !(x == y);

        public override bool Equals(object other) => ReferenceEquals(this, other);

        public override int GetHashCode() => base.GetHashCode();

        static bool IsNone(Object x) => x is null || x._isGone;
    }

    public enum HideFlags
    {
        None = 0,
        DontSave = 52,
    }

    public class ScriptableObject : Object
    {
        public static T CreateInstance<T>() where T : ScriptableObject => (T)Activator.CreateInstance(typeof(T));
    }

    public class Component : Object
    {
        public GameObject gameObject { get; internal set; }
        public Transform transform => gameObject.transform;

        public T GetComponent<T>() => gameObject.GetComponent<T>();

        public T[] GetComponents<T>() => gameObject.GetComponents<T>();

        public T GetComponentInParent<T>() => gameObject.GetComponentInParent<T>();

        public T[] GetComponentsInChildren<T>() => gameObject.GetComponentsInChildren<T>(false);

        public T[] GetComponentsInChildren<T>(bool includeInactive) => gameObject.GetComponentsInChildren<T>(includeInactive);
    }

    public class Behaviour : Component
    {
        public bool enabled { get; set; } = true;
        public bool isActiveAndEnabled => enabled;
    }

    public class MonoBehaviour : Behaviour
    {
    }

    public sealed class GameObject : Object
    {
        readonly List<Component> _components = new List<Component>();

        public GameObject() : this("")
        {
        }

        public GameObject(string name, params Type[] components)
        {
            this.name = name;
            transform = new Transform { gameObject = this, name = name };
            foreach (var type in components) Add((Component)Activator.CreateInstance(type));
        }

        public Transform transform { get; }

        public T AddComponent<T>() where T : Component => (T)Add((Component)Activator.CreateInstance(typeof(T)));

        public T GetComponent<T>()
        {
            var all = GetComponents<T>();
            return all.Length > 0 ? all[0] : default;
        }

        public T[] GetComponents<T>()
        {
            var found = new List<T>();
            foreach (var component in _components)
                if (component is T wanted) found.Add(wanted);
            return found.ToArray();
        }

        public T GetComponentInParent<T>()
        {
            for (var at = transform; at != null; at = at.parent)
                if (at.gameObject.GetComponent<T>() is T found) return found;
            return default;
        }

        public T GetComponentInChildren<T>()
        {
            var all = GetComponentsInChildren<T>(false);
            return all.Length > 0 ? all[0] : default;
        }

        public T[] GetComponentsInChildren<T>() => GetComponentsInChildren<T>(false);

        public T[] GetComponentsInChildren<T>(bool includeInactive)
        {
            var found = new List<T>(GetComponents<T>());
            foreach (var child in transform.Children) found.AddRange(child.gameObject.GetComponentsInChildren<T>(includeInactive));
            return found.ToArray();
        }

        Component Add(Component component)
        {
            component.gameObject = this;
            component.name = name;
            _components.Add(component);
            return component;
        }
    }

    public class Transform : Component
    {
        internal readonly List<Transform> Children = new List<Transform>();

        public Transform parent { get; private set; }
        public Quaternion localRotation { get; set; } = Quaternion.identity;
        public Vector3 localPosition { get; set; }
        public Vector3 localScale { get; set; } = Vector3.one;

        public Quaternion rotation
        {
            get => parent == null ? localRotation : parent.rotation * localRotation;
            set => localRotation = parent == null ? value : Quaternion.Inverse(parent.rotation) * value;
        }

        public void SetParent(Transform p, bool worldPositionStays)
        {
            parent = p;
            p.Children.Add(this);
        }

        public bool IsChildOf(Transform parent) => this == parent || (this.parent != null && this.parent.IsChildOf(parent));
    }
}
