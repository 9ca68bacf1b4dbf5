using System.Collections.Generic;

namespace Facewire
{
    /// <summary>The arguments of a command, in the order in which they are added: <c>new CommandArguments().Add("path", path)</c>.</summary>
    public sealed class CommandArguments
    {
        enum Kind
        {
            Text,
            Number,
            Integer,
            Flag,
        }

        readonly struct Argument
        {
            public readonly string Name;
            public readonly Kind Kind;
            public readonly string Text;
            public readonly double Number;
            public readonly long Integer;

            public Argument(string name, Kind kind, string text, double number, long integer)
            {
                Name = name;
                Kind = kind;
                Text = text;
                Number = number;
                Integer = integer;
            }
        }

        readonly List<Argument> _arguments = new List<Argument>();

        public CommandArguments Add(string name, string value) => Add(new Argument(name, Kind.Text, value, 0, 0));

        public CommandArguments Add(string name, double value) => Add(new Argument(name, Kind.Number, null, value, 0));

        public CommandArguments Add(string name, long value) => Add(new Argument(name, Kind.Integer, null, 0, value));

        public CommandArguments Add(string name, bool value) => Add(new Argument(name, Kind.Flag, null, 0, value ? 1 : 0));

        internal void WriteTo(MsgpackWriter writer)
        {
            writer.WriteMap(_arguments.Count);
            foreach (var argument in _arguments)
            {
                writer.WriteString(argument.Name);
                if (argument.Kind == Kind.Text) writer.WriteString(argument.Text);
                else if (argument.Kind == Kind.Number) writer.WriteNumber(argument.Number);
                else if (argument.Kind == Kind.Integer) writer.WriteInteger(argument.Integer);
                else writer.WriteBoolean(argument.Integer != 0);
            }
        }

        CommandArguments Add(Argument argument)
        {
            _arguments.Add(argument);
            return this;
        }
    }
}
