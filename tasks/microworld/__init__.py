"""The embedded suite: a small generated world from which twelve clusters of datasets and plain documents are made.

People, places, things and moods make short stories; towns and kinds of things have fixed facts; reviews have a tone;
a small invented language has words for all of it.  Nothing is downloaded, and every row is a function of its split.
"""
