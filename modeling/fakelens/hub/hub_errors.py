"""The Hub's errors as one line each: what was refused or could not be reached, and the way out."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import httpx2
from huggingface_hub import constants, get_token
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled
from huggingface_hub.utils import validate_repo_id

from fakelens.errors import UserError

Result = TypeVar("Result")

WAITS = (1.0, 2.0, 4.0)  # seconds before the second, third and fourth attempt
TOKENS = "https://huggingface.co/settings/tokens"
WAYS_OUT = {
    401: f"The token is not valid. Make one with write access at {TOKENS}, then run `hf auth login` or set HF_TOKEN.",
    402: "The Hub asks for a paid plan to create that. Use a plan that has it, or name a repo that exists.",
    403: "The token may not write there. Use a token with write access to that user or organisation, or --create-pr.",
    404: "Check the name, and that the token may see the repo.",
    409: "Someone else is writing to the repo. Run the same command again.",
    412: "The repo changed meanwhile. Run the same command again.",
    429: "Too many requests. Wait a few minutes and run the same command again.",
}


def check_repo_id(repo_id: str) -> None:
    """Check that a name is one that the Hub takes, `USER/NAME`.

    Args:
        repo_id: The name.

    Raises:
        UserError: If it is not.
    """
    try:
        validate_repo_id(repo_id)
    except HFValidationError as error:
        raise UserError(f"{repo_id!r} is no repo name: {str(error).splitlines()[0]} Write it as USER/NAME.") from None
    if repo_id.count("/") != 1:
        raise UserError(f"{repo_id!r} is no full repo name. Write it as USER/NAME.")


def find_token(otherwise: str = "--dry-run DIR needs none.") -> str:
    """Return the token from HF_TOKEN or from an earlier login.

    Args:
        otherwise: What can be done without one, for the message.

    Raises:
        UserError: If there is none; the message says how to get one.
    """
    token = get_token()
    if not token:
        raise UserError(
            f"No Hub token. Make one with write access at {TOKENS}, then run `hf auth login` or set HF_TOKEN; "
            f"{otherwise}"
        )
    return token


def persist(action: Callable[[], Result]) -> Result:
    """Do something with the Hub, once more after a pause for as long as it fails by a fault that may pass.

    Uploads of large files are tried again by huggingface_hub; this is for the requests around them.

    Args:
        action: What to do. It may have been done although the answer was lost: it has to look before it acts again.

    Returns:
        What the action returns.
    """
    for wait in WAITS:
        try:
            return action()
        except httpx2.TransportError:
            pass
        except HfHubHTTPError as error:
            if error.response.status_code < 500:
                raise
        time.sleep(wait)
    return action()


@contextmanager
def hub_errors(doing: str, otherwise: str = "--dry-run DIR needs no network.") -> Iterator[None]:
    """Turn what goes wrong between here and the Hub into a `UserError`.

    Args:
        doing: What failed then, in words: `The push to USER/NAME`.
        otherwise: What can be done where the Hub cannot be reached, in a sentence.

    Raises:
        UserError: For any refusal of the Hub, and if it cannot be reached.
    """
    try:
        yield
    except (HfHubHTTPError, httpx2.TransportError, OfflineModeIsEnabled) as error:
        raise UserError(_message(doing, error, otherwise)) from error
    except RuntimeError as error:
        # huggingface_hub wraps what happens in its upload threads.
        if not isinstance(error.__cause__, HfHubHTTPError | httpx2.TransportError):
            raise
        raise UserError(_message(doing, error.__cause__, otherwise)) from error
    except ValueError as error:
        if isinstance(error, UserError):
            raise
        # How huggingface_hub reports a card that the Hub refuses.
        raise UserError(f"{doing} failed: {' '.join(str(error).split())}") from error


def _message(doing: str, error: BaseException, otherwise: str) -> str:
    if isinstance(error, HfHubHTTPError):
        status = error.response.status_code
        said = " ".join((error.server_message or "").split())
        way_out = WAYS_OUT.get(status, "Try again later." if status >= 500 else "See the Hub's answer.")
        return f"{doing} failed: the Hub answered {status}{f' ({said})' if said else ''}. {way_out}"
    reason = " ".join(str(error).split()) or type(error).__name__
    return (
        f"{doing} failed: {constants.ENDPOINT} cannot be reached ({reason}). "
        f"Check the connection, HF_ENDPOINT and HF_HUB_OFFLINE; {otherwise}"
    )
