"""Owns ways to run programs that were written for other packages.

``olivine.compat.mlx`` runs programs that import ``mlx``.
"""
