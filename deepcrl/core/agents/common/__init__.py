"""What several agents share: base class, actor, critics, losses, how an update is run. May import only `core`."""
