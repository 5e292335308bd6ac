"""Groups of abnormal sentences; the folder they are kept in is described in `reportgen_core.sentences`."""

from reportgen_core.sentences import Group as Group
from reportgen_core.sentences import Groups as Groups
from reportgen_core.sentences import load_groups as load_groups
from reportgen_core.sentences import save_groups as save_groups
