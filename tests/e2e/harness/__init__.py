"""What the end-to-end tests stand on: real processes, real sockets, and clients of our own."""
