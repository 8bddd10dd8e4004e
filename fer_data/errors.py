"""The one kind of error a user is meant to see."""


class FerError(Exception):
    """Input, configuration or files that the tool refuses, told in one sentence.

    The message says what was expected, what was found, where, and what to do next. The command line prints it
    without a traceback and exits with 1; any other exception is a bug.
    """
