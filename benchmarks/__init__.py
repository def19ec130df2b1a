"""Speed, measured against what it is measured by; `python -m benchmarks` runs them."""
