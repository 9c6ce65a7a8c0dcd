"""`voxengine demo`: a spoken conversation that checks and measures itself."""
