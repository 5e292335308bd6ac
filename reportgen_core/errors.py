"""Errors that the command line shows as one line, without a traceback.

Each message names the request, what is wrong with it, and what would work.
"""


class ReportgenError(Exception):
    """Base of every error that a user can act on."""


class UnknownName(ReportgenError):
    """A name is not registered."""


class PluginError(ReportgenError):
    """A part of a plugin cannot be loaded or breaks its interface."""


class OptionError(ReportgenError):
    """A part was given an option that it does not have, or a value that it cannot take."""


class CompositionError(ReportgenError):
    """Two parts do not fit together."""


class ShapeError(ReportgenError):
    """A tensor does not have the shape its interface promises."""


class DataError(ReportgenError):
    """A dataset or a table lacks a file, a column or a value."""


class ImageError(ReportgenError):
    """A file cannot be read as a radiograph."""


class CheckpointError(ReportgenError):
    """A model folder is incomplete, damaged, of another format, or does not fit its own config."""


class MetricError(ReportgenError):
    """A score cannot be computed on this machine or from these texts."""
