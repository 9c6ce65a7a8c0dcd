"""`voxengine doctor`: what is installed, set and working on this machine."""
