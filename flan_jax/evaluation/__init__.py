"""Requests, ranking, generation, metrics and their aggregation."""
