"""The root of every error that is the user's to mend: the command line prints its message without a traceback."""


class FlanJaxError(Exception):
    """Says what was wrong, the value, the place, and the setting that fixes it."""
