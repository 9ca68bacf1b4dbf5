"""The live server: sockets, who may come in, what each of them gets."""
