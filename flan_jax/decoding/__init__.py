"""Generation: settings, sampling, continuous batching, stop strings, beam search.  Knows models, and text as a function
from tokens."""
