"""ROOT files → `Dataset`: reading, the packaged sample, and the simulation that made it."""
