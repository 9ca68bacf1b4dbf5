using UnityEditor;
using UnityEngine;

namespace Facewire.Editor
{
    /// <summary>GameObject > Facewire: a ready receiver, and a character made live.</summary>
    static class FacewireMenu
    {
        [MenuItem("GameObject/Facewire/Receiver", false, 10)]
        static void AddReceiver()
        {
            var made = new GameObject("Facewire", typeof(FacewireReceiver));
            Undo.RegisterCreatedObjectUndo(made, "Add Facewire receiver");
            Selection.activeGameObject = made;
        }

        [MenuItem("GameObject/Facewire/FLAME head", false, 12)]
        static void AddFlame()
        {
            var made = new GameObject("FLAME head", typeof(MeshFilter), typeof(MeshRenderer), typeof(FacewireFlame));
            Undo.RegisterCreatedObjectUndo(made, "Add FLAME head");
            var flame = made.GetComponent<FacewireFlame>();
            flame.Bind();
            if (flame.Receiver == null) Undo.AddComponent<FacewireReceiver>(made);
            flame.Restore();
            Selection.activeGameObject = made;
        }

        [MenuItem("GameObject/Facewire/Make this character live", false, 11)]
        static void MakeLive(MenuCommand command)
        {
            var character = command.context as GameObject;
            if (character == null) character = Selection.activeGameObject;
            if (character == null)
            {
                EditorUtility.DisplayDialog("Facewire", "Select the character first: the object above its face's mesh.", "OK");
                return;
            }
            if (character.GetComponentInParent<FacewireReceiver>() == null) Undo.AddComponent<FacewireReceiver>(character);
            var face = character.GetComponent<FacewireFace>();
            if (face == null) face = Undo.AddComponent<FacewireFace>(character);
            FindBones(character, face);
            face.Bind();
            EditorUtility.SetDirty(face);
        }

        /// <summary>A humanoid's bones are known by their role.</summary>
        static void FindBones(GameObject character, FacewireFace face)
        {
            var animator = character.GetComponentInChildren<Animator>();
            if (animator == null || !animator.isHuman) return;
            Undo.RecordObject(face, "Find bones");
            face.Rig.head = animator.GetBoneTransform(HumanBodyBones.Head);
            face.Rig.neck = animator.GetBoneTransform(HumanBodyBones.Neck);
            face.Rig.leftEye = animator.GetBoneTransform(HumanBodyBones.LeftEye);
            face.Rig.rightEye = animator.GetBoneTransform(HumanBodyBones.RightEye);
        }
    }
}
