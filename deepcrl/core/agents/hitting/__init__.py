"""What agents share that learn when a goal is first reached: labels, bins, hazards. May import what agents may."""
