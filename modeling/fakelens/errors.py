"""The one kind of error that is a message for a person: shown as a line, without a traceback."""


class UserError(ValueError):
    """Something the user can put right. The message names the thing and the way out.

    Examples:
        >>> from fakelens import UserError, build_detector
        >>> try:
        ...     build_detector("custom_cn")
        ... except UserError as error:
        ...     "Did you mean custom_cnn" in str(error)
        True
    """
