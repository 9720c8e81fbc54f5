"""What is composed by name: registries, types, energies, losses, buffers, agents. May import only `core`."""
