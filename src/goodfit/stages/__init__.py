"""The DVC line, one module for each stage."""
