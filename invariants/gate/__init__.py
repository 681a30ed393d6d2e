"""Two environments, one corpus, the difference: whether an upgrade may go in."""
