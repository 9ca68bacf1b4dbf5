using System.Collections.Generic;
using System.Globalization;
using System.Text;

namespace Facewire.Harness
{
    /// <summary>Reads the golden vectors' JSON into dictionaries, lists, strings, doubles and bools: trusted input, no error handling.</summary>
    sealed class Json
    {
        readonly string _text;
        int _at;

        Json(string text) => _text = text;

        public static object Parse(string text) => new Json(text).Value();

        object Value()
        {
            switch (_text[_at])
            {
                case '{': return Map();
                case '[': return Items();
                case '"': return Text();
                case 't': return Word("true", true);
                case 'f': return Word("false", false);
                case 'n': return Word("null", null);
                default: return Number();
            }
        }

        Dictionary<string, object> Map()
        {
            var map = new Dictionary<string, object>();
            while (_text[_at++] != '}' && _text[_at] != '}')
            {
                var key = Text();
                _at++;
                map[key] = Value();
                if (_text[_at] == '}')
                {
                    _at++;
                    return map;
                }
            }
            _at++;
            return map;
        }

        List<object> Items()
        {
            var items = new List<object>();
            _at++;
            if (_text[_at] == ']')
            {
                _at++;
                return items;
            }
            while (true)
            {
                items.Add(Value());
                if (_text[_at++] == ']') return items;
            }
        }

        string Text()
        {
            var text = new StringBuilder();
            for (_at++; _text[_at] != '"'; _at++)
            {
                if (_text[_at] == '\\') _at++;
                text.Append(_text[_at]);
            }
            _at++;
            return text.ToString();
        }

        /// <summary>Integers stay decimal: 2^63 - 1 does not fit a double.</summary>
        object Number()
        {
            var start = _at;
            while (_at < _text.Length && "+-.eE0123456789".IndexOf(_text[_at]) >= 0) _at++;
            return decimal.Parse(_text.Substring(start, _at - start), NumberStyles.Float, CultureInfo.InvariantCulture);
        }

        object Word(string word, object value)
        {
            _at += word.Length;
            return value;
        }
    }
}
