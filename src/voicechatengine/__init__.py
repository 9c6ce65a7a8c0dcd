"""The project's earlier name. What was importable from here is in `voxengine`, where new code takes it from."""
