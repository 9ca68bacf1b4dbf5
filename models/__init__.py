"""Networks and pure maths: arrays and explicit state in, arrays and state out; and where the weights come from."""
