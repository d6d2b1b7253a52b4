"""Methods that grow the network with the experiences."""
