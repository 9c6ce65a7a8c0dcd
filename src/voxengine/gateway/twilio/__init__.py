"""Telephone calls by Twilio Media Streams.

Twilio asks `/twilio/voice` what to do with a call, is told to connect it to a stream, and opens the WebSocket
`/twilio/stream`. `door` decides who gets in, `stream` is the call, `speaker` what the caller hears.
"""
