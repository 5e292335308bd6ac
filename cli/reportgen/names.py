"""Name the values of `reportgen_core` that programs need most."""

from __future__ import annotations

from reportgen_core import GenerationSettings as GenerationSettings
from reportgen_core import Report as Report
from reportgen_core import ReportgenError as ReportgenError
from reportgen_core import Study as Study
from reportgen_core import TrainSettings as TrainSettings
from reportgen_core import View as View
from reportgen_core import __version__ as __version__
from reportgen_core import datasets as datasets
from reportgen_core import decoders as decoders
from reportgen_core import encoders as encoders
from reportgen_core import metrics as metrics
from reportgen_core import presets as presets
from reportgen_core import protocols as protocols
from reportgen_core import retrievers as retrievers
