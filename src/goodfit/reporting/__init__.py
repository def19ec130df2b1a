"""Pages and tables from what the stages recorded."""
