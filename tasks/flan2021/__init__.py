"""The datasets of FLAN 2021, a file for each cluster."""
