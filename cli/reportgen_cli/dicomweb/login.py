"""Read the login of an archive from the environment. No address, option, message or log has it."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable
from typing import Any

from reportgen_core import OptionError

TOKEN = "REPORTGEN_DICOMWEB_TOKEN"
LOGIN = "REPORTGEN_DICOMWEB_LOGIN"
HINT = f"{TOKEN} holds a token, {LOGIN} USER:PASSWORD"


def login_of() -> Callable[[Any], Any]:
    """Return what adds the login to a request of the package requests. Raises OptionError for one that cannot be sent.

    Without a login nothing is added, not even one that a file .netrc has.
    """
    token, login = os.environ.get(TOKEN, ""), os.environ.get(LOGIN, "")
    if token and login:
        raise OptionError(f"{TOKEN} and {LOGIN} are both set; an archive takes one")
    if not token.isascii() or any(sign.isspace() for sign in token):
        raise OptionError(f"{TOKEN} has spaces or signs that no header holds")
    if login and ":" not in login:
        raise OptionError(f"{LOGIN} has no colon; it holds USER:PASSWORD")
    header = f"Bearer {token}" if token else f"Basic {base64.b64encode(login.encode()).decode()}" if login else ""

    def add(request: Any) -> Any:
        if header:
            request.headers["Authorization"] = header
        return request

    return add
