using System;
using UnityEngine;

namespace Facewire
{
    /// <summary>How strongly each part of the face moves: 1 as streamed.</summary>
    [Serializable]
    public sealed class RegionGains
    {
        [Range(0, 2)] public float eyes = 1;
        [Range(0, 2)] public float brows = 1;
        [Range(0, 2)] public float jaw = 1;
        [Range(0, 2)] public float mouth = 1;
        [Range(0, 2)] public float cheeksAndNose = 1;
        [Range(0, 2)] public float tongue = 1;

        internal void CopyTo(FaceShaper shaper)
        {
            shaper.SetGain(FaceRegion.Eyes, eyes);
            shaper.SetGain(FaceRegion.Brows, brows);
            shaper.SetGain(FaceRegion.Jaw, jaw);
            shaper.SetGain(FaceRegion.Mouth, mouth);
            shaper.SetGain(FaceRegion.CheeksAndNose, cheeksAndNose);
            shaper.SetGain(FaceRegion.Tongue, tongue);
        }
    }
}
