"""What several agents share: actors, critics, objectives, two threads, CUDA graphs. May import only `core`."""
