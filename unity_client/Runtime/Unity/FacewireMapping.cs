using System.Collections.Generic;
using UnityEngine;

namespace Facewire
{
    /// <summary>Which of a character's shapes each channel moves: made by name, then edited by hand, shared by all who use the asset.</summary>
    [CreateAssetMenu(menuName = "Facewire/Mapping", fileName = "FacewireMapping")]
    public sealed class FacewireMapping : ScriptableObject
    {
        [SerializeField] List<MapRow> rows = new List<MapRow>();

        /// <summary>Call FacewireFace.Bind after changing these.</summary>
        public List<MapRow> Rows => rows;

        /// <summary>Replaces all rows by what the names tell.</summary>
        public AutoMapResult AutoMap(IReadOnlyList<string> shapeNames)
        {
            var result = AutoMapper.Map(shapeNames);
            rows.Clear();
            rows.AddRange(result.Rows);
            return result;
        }
    }
}
