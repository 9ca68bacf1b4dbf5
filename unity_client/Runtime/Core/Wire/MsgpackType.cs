namespace Facewire
{
    /// <summary>What the next msgpack value is.</summary>
    public enum MsgpackType
    {
        End,
        Nil,
        Boolean,
        Integer,
        Float,
        String,
        Binary,
        Array,
        Map,
        Extension,
        Invalid,
    }
}
