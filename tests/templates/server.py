"""moto's server with one correction.

Usage: server.py PORT
"""

import sys

from moto.iam import access_control
from moto.server import main

is_action_permitted = access_control.IAMPolicyStatement.is_action_permitted


def without_conditional_deny(statement, *arguments, **named):
    """Ignores a Deny with a condition. moto applies it even if the condition does not match."""
    document = statement._statement
    if document["Effect"] == "Deny" and "Condition" in document:
        return access_control.PermissionResult.NEUTRAL
    return is_action_permitted(statement, *arguments, **named)


access_control.IAMPolicyStatement.is_action_permitted = without_conditional_deny
main(["-H", "127.0.0.1", "-p", sys.argv[1]])
