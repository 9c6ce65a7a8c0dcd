"""The session: a state machine without I/O, and the runner that performs what it decides."""

from voxengine.session.core import CoreOptions, SessionCore
from voxengine.session.ledger import Ledger
from voxengine.session.session import Session
from voxengine.session.tools import Tool, Toolbox

__all__ = ["CoreOptions", "Ledger", "Session", "SessionCore", "Tool", "Toolbox"]
