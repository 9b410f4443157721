"""Counts of a list: counting names, and tables of counts in Parquet."""
