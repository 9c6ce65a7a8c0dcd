"""Judges of messages by the vendors' own published types: strict where the vendors' own clients are lenient.

An official client that parses a message proves little, because those clients do not validate. A judge takes the model
that a message's `type` names, validates against it strictly, and reports every field that the model does not know.
Judging needs the vendor's package; nothing else of VoxEngine does.
"""
