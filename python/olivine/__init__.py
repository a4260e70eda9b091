"""Lazy arrays in unified memory, composable function transforms, and neural networks."""
