"""What several agents share: the base class, actor and critics, losses, and how an update is run."""
