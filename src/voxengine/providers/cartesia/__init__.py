"""Cartesia: text to speech for a cascade, given the words as they come (`cartesia/sonic-3`).

- codec: messages in and out, pure.
- link: the one socket of a session, and which of the answers on it a message is for.
- places: where words are in the speech of an answer.
- tts: the part.
- voices: some of its voices.
"""
