"""The pages that a stranger's project has of its own: as few as the stories need."""
