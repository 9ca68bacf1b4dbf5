"""The frame and its wire format (docs/wire.md): what server, client and recordings share."""
