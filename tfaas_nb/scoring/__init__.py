"""Scores for whole files: events read in ranges, scored by a bundle or a server, written away."""
