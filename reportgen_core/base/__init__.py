"""Hold the helpers of the root: what a name or an argument of a caller means, and the values that draw themselves. No
torch is imported here, and no other file of the core.
"""

__all__: list[str] = []  # a plugin needs nothing from here


def __dir__() -> list[str]:
    return [name for name in globals() if name.startswith("__")]
