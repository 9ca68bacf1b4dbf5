using UnityEngine;

namespace Facewire
{
    /// <summary>Which receiver a component means that names none.</summary>
    static class ReceiverSearch
    {
        /// <summary>The one on the component's object or above it, else the scene's; null where there is none.</summary>
        public static FacewireReceiver From(Component component)
        {
            var near = component.GetComponentInParent<FacewireReceiver>();
            if (near != null) return near;
#if UNITY_2023_1_OR_NEWER
            return Object.FindAnyObjectByType<FacewireReceiver>();
#else
            return Object.FindObjectOfType<FacewireReceiver>();
#endif
        }
    }
}
