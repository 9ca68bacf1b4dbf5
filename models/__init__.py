"""Networks and pure maths: arrays and explicit state in, arrays and state out; weights, their sources and conversion."""
