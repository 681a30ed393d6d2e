"""The suite: the pytest files that ship with the package and are the main job."""
