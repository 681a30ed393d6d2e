"""How exact the elementwise functions of torch and TensorFlow are, against mpmath."""
