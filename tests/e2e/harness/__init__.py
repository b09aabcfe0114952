"""Infrastructure of the end-to-end tests: processes, networks and clients."""
