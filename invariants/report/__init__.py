"""What a run found, as people and machines read it: terminal, files, pictures."""
