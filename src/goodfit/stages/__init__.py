"""The DVC line, one module for each stage; and what is around it: repro, summary, by_hand."""
