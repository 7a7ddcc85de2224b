"""A TensorFlow graph as data: what its ends need, and what it is once its steering is known."""
