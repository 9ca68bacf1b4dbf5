using System.Collections.Generic;
using System.Globalization;

namespace Facewire
{
    /// <summary>
    /// The server's report of about once a second, flattened to "latencies.track" = "4.2" lines: whatever a later server adds shows up too.
    /// </summary>
    public sealed class StatusMessage
    {
        const int MaxEntries = 256;
        const int MaxDepth = 4;

        readonly List<KeyValuePair<string, string>> _entries = new List<KeyValuePair<string, string>>();

        public IReadOnlyList<KeyValuePair<string, string>> Entries => _entries;

        public static bool TryDecode(byte[] buffer, int offset, int count, out StatusMessage status)
        {
            status = new StatusMessage();
            var reader = new MsgpackReader(buffer, offset, count);
            return reader.Peek() == MsgpackType.Map && status.TryFlatten(ref reader, "", 0) && reader.Remaining == 0;
        }

        bool TryFlatten(ref MsgpackReader reader, string path, int depth)
        {
            var type = reader.Peek();
            if (depth > MaxDepth || _entries.Count >= MaxEntries) return reader.TrySkip();
            if (type == MsgpackType.Map) return TryFlattenMap(ref reader, path, depth);
            if (type == MsgpackType.Array) return TryFlattenArray(ref reader, path, depth);
            return TryAddScalar(ref reader, path, type);
        }

        bool TryFlattenMap(ref MsgpackReader reader, string path, int depth)
        {
            if (!reader.TryReadMap(out var pairs)) return false;
            for (; pairs > 0; pairs--)
            {
                if (!reader.TryReadString(out var key)) return false;
                if (depth == 0 && key.Is(WireNames.Type))
                {
                    if (!reader.TrySkip()) return false;
                    continue;
                }
                if (!TryFlatten(ref reader, path.Length == 0 ? key.ToString() : path + "." + key, depth + 1)) return false;
            }
            return true;
        }

        bool TryFlattenArray(ref MsgpackReader reader, string path, int depth)
        {
            if (!reader.TryReadArray(out var items)) return false;
            for (var i = 0; i < items; i++)
                if (!TryFlatten(ref reader, path + "." + i.ToString(CultureInfo.InvariantCulture), depth + 1)) return false;
            return true;
        }

        bool TryAddScalar(ref MsgpackReader reader, string path, MsgpackType type)
        {
            switch (type)
            {
                case MsgpackType.String:
                    if (!reader.TryReadString(out var text)) return false;
                    Add(path, text.ToString());
                    return true;
                case MsgpackType.Boolean:
                    if (!reader.TryReadBoolean(out var flag)) return false;
                    Add(path, flag ? "yes" : "no");
                    return true;
                case MsgpackType.Integer:
                case MsgpackType.Float:
                    if (!reader.TryReadNumber(out var number)) return false;
                    Add(path, number.ToString("0.###", CultureInfo.InvariantCulture));
                    return true;
                default:
                    return reader.TrySkip();
            }
        }

        void Add(string path, string value) => _entries.Add(new KeyValuePair<string, string>(path, value));
    }
}
