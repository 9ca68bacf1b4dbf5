"""Before a client is in: addresses and names, what a request says, and who waits how long."""
