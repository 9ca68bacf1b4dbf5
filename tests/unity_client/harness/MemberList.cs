using System;
using System.Reflection;

namespace Facewire.Harness
{
    /// <summary>Prints the public members of an assembly, one a line: type, static or instance, name, number of parameters (-1: no method).</summary>
    static class MemberList
    {
        const BindingFlags Own = BindingFlags.Public | BindingFlags.Instance | BindingFlags.Static | BindingFlags.DeclaredOnly;

        public static int Run(string[] arguments)
        {
            foreach (var type in Assembly.LoadFrom(arguments[0]).GetExportedTypes())
            {
                if (typeof(Delegate).IsAssignableFrom(type)) continue;
                Console.WriteLine($"{type.FullName} type - -1");
                foreach (var member in type.GetMembers(Own)) Print(type, member);
            }
            return 0;
        }

        static void Print(Type type, MemberInfo member)
        {
            switch (member)
            {
                case MethodInfo method when !method.IsSpecialName && method.GetBaseDefinition() == method:
                    Print(type, method.IsStatic, method.Name, method.GetParameters().Length);
                    break;
                case PropertyInfo property:
                    Print(type, property.GetGetMethod().IsStatic, property.Name, -1);
                    break;
                case FieldInfo field when !field.IsSpecialName:
                    Print(type, field.IsStatic, field.Name, -1);
                    break;
                case ConstructorInfo constructor when constructor.GetParameters().Length > 0:
                    Print(type, false, "constructor", constructor.GetParameters().Length);
                    break;
            }
        }

        static void Print(Type type, bool isStatic, string name, int parameters) =>
            Console.WriteLine($"{type.FullName} {(isStatic ? "static" : "instance")} {name} {parameters}");
    }
}
